"""The control of stage 2: the same adapter, clips, noise and steps, trained by the denoising loss alone."""

from phys4d_kedro.pipelines.appearance_control.pipeline import create_pipeline

__all__ = ["create_pipeline"]
