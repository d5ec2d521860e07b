"""The comparison pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.comparison import nodes
from phys4d_kedro.pipelines.latents import cache_latents

# In the order of `evaluation.comparison.STAGES`, whose names the nodes know them by.
_STAGES = {
    "stage1": "heads",
    "appearance_control": "appearance_control_models",
    "sft": "sft_models",
    "rl": "rl_models",
}
_SHARED = {
    "backbone": "backbone",
    "heldout": "simulated_clips_heldout",
    "parameters": "params:comparison",
    "evaluation": "params:evaluation",
    "loading": "params:world_model",
    **_STAGES,
}


def create_pipeline(**_: object) -> Pipeline:
    """backbone, models of all stages, held-out clips -> comparison_clips, _scores, _metrics and figures."""
    return Pipeline(
        [
            Node(
                cache_latents,
                inputs=["backbone", "simulated_clips_heldout", "simulated_clips_heldout_quality", "params:world_model"],
                outputs="comparison_latents",
                name="cache_comparison_latents_node",
                tags=["comparison", "gpu"],
            ),
            Node(
                nodes.generate_comparison_clips,
                inputs=_SHARED,
                outputs="comparison_clips",
                name="generate_comparison_clips_node",
                tags=["comparison", "gpu"],
            ),
            Node(
                nodes.score_comparison,
                inputs={
                    **_SHARED,
                    "latents": "comparison_latents",
                    "worlds": "comparison_clips",
                    "labels": "params:pseudo_labeling",
                },
                outputs="comparison_scores",
                name="score_comparison_node",
                tags=["comparison", "gpu"],
            ),
            Node(
                nodes.summarise_comparison,
                inputs=["comparison_scores", "params:comparison"],
                outputs="comparison_metrics",
                name="summarise_comparison_node",
                tags=["comparison", "cpu"],
            ),
            Node(
                nodes.plot_comparison,
                inputs="comparison_metrics",
                outputs=["comparison_table", "comparison_margins"],
                name="plot_comparison_node",
                tags=["comparison", "cpu"],
            ),
            Node(
                nodes.draw_comparison,
                inputs=["comparison_clips", "simulated_clips_heldout", "params:comparison"],
                outputs="comparison_sheets",
                name="draw_comparison_node",
                tags=["comparison", "cpu"],
            ),
            Node(
                nodes.film_comparison,
                inputs=["comparison_clips", "simulated_clips_heldout", "params:comparison"],
                outputs="comparison_videos",
                name="film_comparison_node",
                tags=["comparison", "cpu"],
            ),
        ]
    )
