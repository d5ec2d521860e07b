"""Nodes of stage 2: stage 1's heads, simulated clips -> an adapter of the backbone, and finer heads."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training.sft_config import SftConfig
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache


def train_sft(
    *,
    backbone: Path,
    heads: Path,
    clips: ClipStore,
    validation: ClipStore,
    latents: LatentCache,
    validation_latents: LatentCache,
    parameters: SftConfig,
    loading: LoadingConfig,
) -> tuple[Callable[[Path], None], pd.DataFrame, pd.DataFrame]:
    """Fine-tune the adapter and both heads on exact depth and motion, for each seed.

    `validation_latents` is the same cache as `latents`: it stands for the validation clips' being in it.
    """
    from phys4d_kedro.training import sft

    return sft.train_sft(
        backbone,
        heads,
        parameters,
        clips=clips,
        validation=validation,
        cache=latents,
        loading=loading,
        stage="sft",
    )
