"""Every simulated scene to look at: strips of annotated frames, and how its attributes are distributed."""

from phys4d_kedro.pipelines.gallery.pipeline import create_pipeline

__all__ = ["create_pipeline"]
