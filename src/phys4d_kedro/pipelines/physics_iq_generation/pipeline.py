"""The physics_iq_generation pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.physics_iq_generation import nodes


def create_pipeline(**_: object) -> Pipeline:
    """backbone -> the folder that the parameters name, and physics_iq_videos, the list of its files."""
    return Pipeline(
        [
            Node(
                nodes.generate_physics_iq_videos,
                inputs=[
                    "backbone",
                    "params:physics_iq_generation",
                    "params:generation.sampling",
                    "params:world_model",
                ],
                outputs="physics_iq_videos",
                name="generate_physics_iq_videos_node",
                tags=["physics_iq_generation", "gpu"],
            ),
        ]
    )
