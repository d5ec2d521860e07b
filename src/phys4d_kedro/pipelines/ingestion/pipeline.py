"""The ingestion pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.ingestion import nodes
from phys4d_kedro.pipelines.quality import quality_node


def create_pipeline(**_: object) -> Pipeline:
    """Sources named in the parameters -> real_clips, ingestion_report (what was read and left out), their quality."""
    return Pipeline(
        [
            Node(
                nodes.collect_clips,
                inputs="params:ingestion",
                outputs=["ingestion_report", "real_clips"],
                name="collect_real_clips_node",
                tags=["ingestion", "cpu"],
            ),
            quality_node("real_clips", "params:ingestion.quality", tags=["ingestion", "cpu"]),
        ]
    )
