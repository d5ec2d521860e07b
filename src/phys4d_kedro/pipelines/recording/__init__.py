"""One clip of the gallery as a Rerun recording."""

from phys4d_kedro.pipelines.recording.pipeline import create_pipeline

__all__ = ["create_pipeline"]
