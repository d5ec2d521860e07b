"""The simulation pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.quality import quality_node
from phys4d_kedro.pipelines.simulation import nodes


def create_pipeline(**_: object) -> Pipeline:
    """Parameters alone -> simulated_clips_train, simulated_clips_heldout, their quality reports and a gallery."""
    return Pipeline(
        [
            Node(
                nodes.simulate_training_clips,
                inputs="params:simulation",
                outputs="simulated_clips_train",
                name="simulate_training_clips_node",
                tags=["simulation", "cpu"],
            ),
            Node(
                nodes.simulate_heldout_clips,
                inputs="params:simulation",
                outputs="simulated_clips_heldout",
                name="simulate_heldout_clips_node",
                tags=["simulation", "cpu"],
            ),
            quality_node("simulated_clips_train", "params:simulation.quality", ["simulation", "cpu"]),
            quality_node("simulated_clips_heldout", "params:simulation.quality", ["simulation", "cpu"]),
            Node(
                nodes.draw_simulation_gallery,
                inputs="simulated_clips_heldout",
                outputs="simulation_gallery",
                name="draw_simulation_gallery_node",
                tags=["simulation", "cpu", "gallery"],
            ),
        ]
    )
