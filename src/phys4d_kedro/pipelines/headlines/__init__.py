"""A few figures out of all metrics, flat, for DVC's tables."""

from phys4d_kedro.pipelines.headlines.pipeline import create_pipeline

__all__ = ["create_pipeline"]
