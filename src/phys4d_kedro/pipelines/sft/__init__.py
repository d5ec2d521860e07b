"""Stage 2, physics-grounded fine-tuning: an adapter of the backbone and both heads, on exact simulated clips."""

from phys4d_kedro.pipelines.sft.pipeline import create_pipeline

__all__ = ["create_pipeline"]
