"""The physics_iq pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.physics_iq import nodes


def create_pipeline(**_: object) -> Pipeline:
    """Folders that the parameters name -> physics_iq_results, and the file that they name."""
    return Pipeline(
        [
            Node(
                nodes.score_physics_iq,
                inputs="params:physics_iq",
                outputs="physics_iq_results",
                name="score_physics_iq_node",
                tags=["physics_iq", "cpu"],
            ),
        ]
    )
