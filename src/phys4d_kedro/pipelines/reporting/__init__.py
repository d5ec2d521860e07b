"""The report: results, example clips, training and data in one HTML file, and PNG sheets."""

from phys4d_kedro.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
