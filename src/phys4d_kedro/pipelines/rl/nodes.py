"""The node of stage 3: stage 2's models, simulated clips -> policies."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache


def train_policy(
    *,
    backbone: Path,
    models: Path,
    clips: ClipStore,
    validation: ClipStore,
    latents: LatentCache,
    validation_latents: LatentCache,
    parameters: RlConfig,
    labels: PseudoLabelConfig,
    loading: LoadingConfig,
) -> tuple[Callable[[Path], None], pd.DataFrame, pd.DataFrame]:
    """Generate worlds from simulated first frames, and reinforce what moves like the simulation, for each seed.

    `validation_latents` is the same cache as `latents`: it stands for the validation clips' being in it.
    """
    from phys4d_kedro.training import rl

    return rl.train_rl(
        backbone,
        models,
        parameters,
        clips=clips,
        validation=validation,
        cache=latents,
        labels=labels,
        loading=loading,
    )
