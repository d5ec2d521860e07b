"""Simulated clips with exact depth, motion, segmentation and tracks."""

from phys4d_kedro.pipelines.simulation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
