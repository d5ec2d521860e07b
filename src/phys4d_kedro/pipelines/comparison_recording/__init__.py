"""A clip and the worlds of all stages as a Rerun recording."""

from phys4d_kedro.pipelines.comparison_recording.pipeline import create_pipeline

__all__ = ["create_pipeline"]
