"""Pseudo-labelling: depth and motion of videos as estimators see them."""

from phys4d_kedro.pipelines.pseudo_labeling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
