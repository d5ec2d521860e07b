"""The simulation pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.quality import quality_node
from phys4d_kedro.pipelines.simulation import nodes

_TAGS = ["simulation", "cpu"]
# Machines that share out the clips run these nodes; what is behind them needs whole sets.
_MAKING = [*_TAGS, "make_clips"]


def create_pipeline(**_: object) -> Pipeline:
    """Parameters alone -> simulated_clips_train, _validation, _heldout, _unseen, quality reports and a gallery."""
    return Pipeline(
        [
            Node(
                nodes.simulate_training_clips,
                inputs="params:simulation",
                outputs="simulated_clips_train",
                name="simulate_training_clips_node",
                tags=_MAKING,
            ),
            Node(
                nodes.simulate_validation_clips,
                inputs="params:simulation",
                outputs="simulated_clips_validation",
                name="simulate_validation_clips_node",
                tags=_MAKING,
            ),
            Node(
                nodes.simulate_heldout_clips,
                inputs="params:simulation",
                outputs="simulated_clips_heldout",
                name="simulate_heldout_clips_node",
                tags=_MAKING,
            ),
            Node(
                nodes.simulate_unseen_clips,
                inputs="params:simulation",
                outputs="simulated_clips_unseen",
                name="simulate_unseen_clips_node",
                tags=_MAKING,
            ),
            quality_node("simulated_clips_train", "params:simulation.quality", _TAGS),
            quality_node("simulated_clips_validation", "params:simulation.quality", _TAGS),
            quality_node("simulated_clips_heldout", "params:simulation.quality", _TAGS),
            Node(
                nodes.validate_unseen_clips,
                inputs=["simulated_clips_unseen", "params:simulation"],
                outputs="simulated_clips_unseen_quality",
                name="validate_simulated_clips_unseen_node",
                tags=[*_TAGS, "quality"],
            ),
            Node(
                nodes.draw_simulation_gallery,
                inputs="simulated_clips_heldout",
                outputs="simulation_gallery",
                name="draw_simulation_gallery_node",
                tags=[*_TAGS, "gallery"],
            ),
        ]
    )
