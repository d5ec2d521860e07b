"""SimIQ: every stage judged by Physics-IQ's protocol on a frozen list of simulated scenes."""

from phys4d_kedro.pipelines.simiq.pipeline import create_pipeline

__all__ = ["create_pipeline"]
