"""The evaluation pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.evaluation import nodes
from phys4d_kedro.pipelines.latents import cache_latents


def create_pipeline(**_: object) -> Pipeline:
    """backbone, heads, clips -> baselines, evaluation_table, evaluation_metrics, predictions."""
    return Pipeline(
        [
            Node(
                cache_latents,
                inputs=["backbone", "simulated_clips_heldout", "simulated_clips_heldout_quality", "params:world_model"],
                outputs="heldout_latents",
                name="cache_heldout_latents_node",
                tags=["evaluation", "gpu"],
            ),
            Node(
                nodes.fit_baselines,
                inputs={
                    "backbone": "backbone",
                    "heads": "heads",
                    "clips": "labeled_clips",
                    "latents": "latents",
                    "parameters": "params:evaluation",
                    "loading": "params:world_model",
                },
                outputs="baselines",
                name="fit_baselines_node",
                tags=["evaluation", "gpu"],
            ),
            Node(
                nodes.score_predictors,
                inputs={
                    "backbone": "backbone",
                    "heads": "heads",
                    "baselines": "baselines",
                    "clips": "simulated_clips_heldout",
                    "latents": "heldout_latents",
                    "parameters": "params:evaluation",
                    "labels": "params:pseudo_labeling",
                    "loading": "params:world_model",
                },
                outputs=["evaluation_table", "predictions"],
                name="score_predictors_node",
                tags=["evaluation", "gpu"],
            ),
            Node(
                nodes.summarise_scores,
                inputs=["evaluation_table", "params:evaluation"],
                outputs="evaluation_metrics",
                name="summarise_scores_node",
                tags=["evaluation", "cpu"],
            ),
        ]
    )
