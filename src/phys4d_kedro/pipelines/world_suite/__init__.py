"""The 4D world consistency suite on the worlds of every stage, and on real videos."""

from phys4d_kedro.pipelines.world_suite.pipeline import create_pipeline

__all__ = ["create_pipeline"]
