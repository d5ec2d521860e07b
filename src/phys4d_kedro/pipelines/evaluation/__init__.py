"""Heads, baselines and estimators judged on held-out simulated clips."""

from phys4d_kedro.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
