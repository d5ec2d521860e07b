"""Stage 1, pseudo-supervised pretraining: depth and motion heads on the frozen backbone."""

from phys4d_kedro.pipelines.pretrain.pipeline import create_pipeline

__all__ = ["create_pipeline"]
