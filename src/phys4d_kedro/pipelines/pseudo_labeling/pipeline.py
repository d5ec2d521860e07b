"""The pseudo-labelling pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.pseudo_labeling import nodes
from phys4d_kedro.pipelines.quality import quality_node


def create_pipeline(**_: object) -> Pipeline:
    """simulated_clips_train, real_clips -> labeled_clips, labeled_clips_quality."""
    return Pipeline(
        [
            Node(
                nodes.label_clips,
                inputs=[
                    "simulated_clips_train",
                    "simulated_clips_train_quality",
                    "real_clips",
                    "real_clips_quality",
                    "params:pseudo_labeling",
                ],
                outputs="labeled_clips",
                name="estimate_depth_and_motion_node",
                tags=["pseudo_labeling", "gpu"],
            ),
            quality_node("labeled_clips", "params:pseudo_labeling.quality", ["pseudo_labeling", "cpu"]),
        ]
    )
