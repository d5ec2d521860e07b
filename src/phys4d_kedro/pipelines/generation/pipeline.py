"""The generation pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.generation import nodes


def create_pipeline(**_: object) -> Pipeline:
    """backbone, heads, simulated_clips_heldout -> generated_clips, and their videos, point clouds and pictures."""
    return Pipeline(
        [
            Node(
                nodes.generate_clips,
                inputs=["backbone", "heads", "simulated_clips_heldout", "params:generation", "params:world_model"],
                outputs="generated_clips",
                name="generate_clips_node",
                tags=["generation", "gpu"],
            ),
            Node(
                nodes.export_videos,
                inputs=["generated_clips", "simulated_clips_heldout"],
                outputs="generated_videos",
                name="export_videos_node",
                tags=["generation", "cpu"],
            ),
            Node(
                nodes.export_point_clouds,
                inputs="generated_clips",
                outputs="generated_point_clouds",
                name="export_point_clouds_node",
                tags=["generation", "cpu"],
            ),
            Node(
                nodes.draw_samples,
                inputs=["generated_clips", "simulated_clips_heldout"],
                outputs="generated_samples",
                name="draw_generated_samples_node",
                tags=["generation", "cpu"],
            ),
        ]
    )
