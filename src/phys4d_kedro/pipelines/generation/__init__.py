"""4D clips from prompts and first frames."""

from phys4d_kedro.pipelines.generation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
