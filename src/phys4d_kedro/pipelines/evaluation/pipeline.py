"""The evaluation pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.evaluation import nodes


def create_pipeline(**_: object) -> Pipeline:
    """backbone, heads, clips -> baselines, evaluation_table, evaluation_metrics, predictions."""
    return Pipeline(
        [
            Node(
                nodes.cache_latents,
                inputs=["backbone", "simulated_clips_heldout", "simulated_clips_heldout_quality"],
                outputs="heldout_latents",
                name="cache_heldout_latents_node",
                tags=["evaluation", "gpu"],
            ),
            Node(
                nodes.fit_baselines,
                inputs=["backbone", "heads", "labeled_clips", "latents", "params:evaluation"],
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
