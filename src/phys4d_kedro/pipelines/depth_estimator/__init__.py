"""The depth model that labels clips by default, trained on simulated frames."""

from phys4d_kedro.pipelines.depth_estimator.pipeline import create_pipeline

__all__ = ["create_pipeline"]
