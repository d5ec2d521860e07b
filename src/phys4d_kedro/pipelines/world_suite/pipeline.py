"""The world_suite pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.world_suite import nodes


def create_pipeline(**_: object) -> Pipeline:
    """comparison_clips, held-out truths, labelled real videos -> suite_scores, suite_video_scores, metrics, figure."""
    return Pipeline(
        [
            Node(
                nodes.score_worlds,
                inputs=[
                    "comparison_clips",
                    "simulated_clips_heldout",
                    "params:world_suite",
                    "params:pseudo_labeling",
                ],
                outputs="suite_scores",
                name="score_suite_worlds_node",
                tags=["world_suite", "cpu"],
            ),
            Node(
                nodes.score_videos,
                inputs=["labeled_clips", "real_clips", "params:world_suite", "params:pseudo_labeling"],
                outputs="suite_video_scores",
                name="score_suite_videos_node",
                tags=["world_suite", "cpu"],
            ),
            Node(
                nodes.summarise_suite,
                inputs=["suite_scores", "suite_video_scores", "params:world_suite"],
                outputs="suite_metrics",
                name="summarise_suite_node",
                tags=["world_suite", "cpu"],
            ),
            Node(
                nodes.plot_horizons,
                inputs="suite_metrics",
                outputs="suite_horizons",
                name="plot_suite_horizons_node",
                tags=["world_suite", "cpu"],
            ),
        ]
    )
