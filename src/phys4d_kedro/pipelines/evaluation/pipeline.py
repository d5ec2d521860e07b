"""The evaluation pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.evaluation import nodes

_PREDICTORS = {
    "backbone": "backbone",
    "heads": "heads",
    "baselines": "baselines",
    "clips": "simulated_clips_heldout",
    "parameters": "params:evaluation",
    "labels": "params:pseudo_labeling",
}


def create_pipeline(**_: object) -> Pipeline:
    """backbone, heads, clips -> baselines, evaluation_table, evaluation_metrics, predictions."""
    return Pipeline(
        [
            Node(
                nodes.fit_baselines,
                inputs=["backbone", "heads", "labeled_clips", "labeled_clips_quality", "params:evaluation"],
                outputs="baselines",
                name="fit_baselines_node",
                tags=["evaluation", "gpu"],
            ),
            Node(
                nodes.score_predictors,
                inputs={**_PREDICTORS, "quality": "simulated_clips_heldout_quality"},
                outputs="evaluation_table",
                name="score_predictors_node",
                tags=["evaluation", "gpu"],
            ),
            Node(
                nodes.predict_examples,
                inputs=_PREDICTORS,
                outputs="predictions",
                name="predict_examples_node",
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
