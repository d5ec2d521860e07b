"""Training of the nano depth model that labels clips by default."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.perception.nano_depth_anything import NanoDepthTask, build_model, read_frames, save_model
from phys4d_kedro.training.config import DepthModelConfig
from phys4d_kedro.training.fingerprints import fingerprint_of
from phys4d_kedro.training.loop import fit


def train_depth_model(clips: ClipStore, config: DepthModelConfig) -> tuple[Callable[[Path], None], pd.DataFrame]:
    """Train a nano Depth Anything on every frame of simulated clips.

    Returns:
        A function that writes the trained model into a given folder, and the loss curve.

    Raises:
        MissingAnnotationError: a clip has no exact depth or segmentation.
    """
    frames = read_frames(clips)
    model = build_model(config.model, seed=config.loop.seed)
    result = fit(
        NanoDepthTask(model, frames, config.loss),
        items=len(frames),
        config=config.loop,
        workdir=Path(config.checkpoint_dir),
        fingerprint=fingerprint_of(clips.fingerprint, config.model, config.loss, config.loop),
        description="Training the depth model",
    )
    return partial(save_model, model), result.history
