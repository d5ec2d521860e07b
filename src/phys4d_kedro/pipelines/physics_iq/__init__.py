"""Physics-IQ: generated videos scored against real ones."""

from phys4d_kedro.pipelines.physics_iq.pipeline import create_pipeline

__all__ = ["create_pipeline"]
