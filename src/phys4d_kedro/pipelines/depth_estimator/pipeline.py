"""The depth estimator pipeline; its product is in the repository, so that no run has to wait for it."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.depth_estimator import nodes
from phys4d_kedro.pipelines.quality import quality_node

_SIMULATION = "params:depth_estimator.simulation"
_TRAINING = "params:depth_estimator.training"
_TAGS = ["depth_estimator", "cpu"]


def create_pipeline(**_: object) -> Pipeline:
    """Parameters alone -> nano_depth_anything, depth_estimator_scores, and the clips learned from."""
    return Pipeline(
        [
            Node(
                nodes.simulate_training_frames,
                inputs=_SIMULATION,
                outputs="depth_clips_train",
                name="simulate_training_frames_node",
                tags=_TAGS,
            ),
            Node(
                nodes.simulate_heldout_frames,
                inputs=_SIMULATION,
                outputs="depth_clips_heldout",
                name="simulate_heldout_frames_node",
                tags=_TAGS,
            ),
            quality_node("depth_clips_train", f"{_SIMULATION}.quality", _TAGS),
            quality_node("depth_clips_heldout", f"{_SIMULATION}.quality", _TAGS),
            Node(
                nodes.train_depth_model,
                inputs=["depth_clips_train", "depth_clips_train_quality", _TRAINING],
                outputs=["trained_depth_model", "depth_estimator_history"],
                name="train_depth_model_node",
                tags=["depth_estimator", "gpu"],
            ),
            Node(
                nodes.score_depth_model,
                inputs=[
                    "trained_depth_model",
                    "depth_clips_heldout",
                    "depth_clips_heldout_quality",
                    "depth_clips_train",
                ],
                outputs="depth_estimator_scores",
                name="score_depth_model_node",
                tags=["depth_estimator", "gpu"],
            ),
            Node(
                nodes.publish_depth_model,
                inputs=["trained_depth_model", "depth_estimator_scores", _SIMULATION, _TRAINING],
                outputs="nano_depth_anything",
                name="publish_depth_model_node",
                tags=_TAGS,
            ),
        ]
    )
