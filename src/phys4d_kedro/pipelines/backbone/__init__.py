"""The appearance-only video model of the embedded default, trained on RGB alone."""

from phys4d_kedro.pipelines.backbone.pipeline import create_pipeline

__all__ = ["create_pipeline"]
