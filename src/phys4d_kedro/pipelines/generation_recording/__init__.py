"""One generated clip, beside the true one, as a Rerun recording."""

from phys4d_kedro.pipelines.generation_recording.pipeline import create_pipeline

__all__ = ["create_pipeline"]
