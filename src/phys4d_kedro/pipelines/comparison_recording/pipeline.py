"""The recording of the comparison, apart from it: it needs the extra `rerun`."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.comparison.nodes import record_comparison


def create_pipeline(**_: object) -> Pipeline:
    """comparison_clips, simulated_clips_heldout -> comparison_recording, a file that Rerun plays."""
    return Pipeline(
        [
            Node(
                record_comparison,
                inputs=["comparison_clips", "simulated_clips_heldout"],
                outputs="comparison_recording",
                name="record_comparison_node",
                tags=["comparison_recording", "cpu"],
            )
        ]
    )
