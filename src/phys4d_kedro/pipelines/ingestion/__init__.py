"""Real videos and other simulators' outputs -> clips."""

from phys4d_kedro.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
