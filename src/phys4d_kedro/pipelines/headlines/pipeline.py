"""The headlines pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.headlines import nodes


def create_pipeline(**_: object) -> Pipeline:
    """evaluation_metrics, comparison_metrics -> headlines, the figures that the parameters name."""
    return Pipeline(
        [
            Node(
                nodes.choose_headlines,
                inputs=["evaluation_metrics", "comparison_metrics", "params:headlines"],
                outputs="headlines",
                name="choose_headlines_node",
                tags=["headlines", "cpu"],
            ),
        ]
    )
