"""The stages of training judged side by side on held-out simulated clips."""

from phys4d_kedro.pipelines.comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]
