"""Nodes of stage 1: labelled clips -> depth and motion heads on a frozen backbone."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training.config import PretrainConfig
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache


def train_heads(
    backbone: Path, clips: ClipStore, latents: LatentCache, parameters: PretrainConfig, loading: LoadingConfig
) -> tuple[Callable[[Path], None], pd.DataFrame]:
    """Train depth and motion heads on features of the noised clips, for each seed."""
    from phys4d_kedro.training import stages

    return stages.pretrain_heads(backbone, parameters, clips, latents, loading)
