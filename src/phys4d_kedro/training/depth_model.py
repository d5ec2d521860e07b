"""Training and publishing of the nano depth model that labels clips by default."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.perception.nano_depth_anything import NanoDepthTask, build_model, read_frames, save_model
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.training.config import DepthModelConfig
from phys4d_kedro.training.fingerprints import fingerprint_of
from phys4d_kedro.training.loop import fit
from phys4d_kedro.training.task import Task

Scores = dict[str, dict[str, dict[str, float]]]

_CARD_METRICS = ("abs_rel_raw", "abs_rel", "delta_1_raw", "delta_1")


class DepthModelTask(NanoDepthTask, Task):
    """The nano depth model's loss, as the loop takes it."""


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
        DepthModelTask(model, frames, config.loss),
        items=len(frames),
        config=config.loop,
        workdir=Path(config.checkpoint_dir),
        fingerprint=fingerprint_of(clips.fingerprint, config.model, config.loss, config.loop),
        description="Training the depth model",
    )
    return partial(save_model, model), result.history


def publish(
    model: Path, scores: Scores, simulation: SimulationConfig, training: DepthModelConfig
) -> Callable[[Path], None]:
    """A function that copies a trained model into a given folder, with a model card beside the weights."""

    def write(folder: Path) -> None:
        shutil.copytree(model, folder, dirs_exist_ok=True)
        (folder / "README.md").write_text(_model_card(scores, simulation, training), encoding="utf-8")

    return write


def _model_card(scores: Scores, simulation: SimulationConfig, training: DepthModelConfig) -> str:
    loop, split = training.loop, simulation.train
    rows = "\n".join(
        f"| {name.replace('_', ' ')} | {region} | " + " | ".join(f"{metrics[key]:.3f}" for key in _CARD_METRICS) + " |"
        for name, regions in scores.items()
        for region, metrics in regions.items()
    )
    return f"""---
library_name: transformers
pipeline_tag: depth-estimation
license: apache-2.0
---
# Nano Depth Anything

Metric depth of single frames, for the embedded default of phys4d-kedro: `DepthAnythingForDepthEstimation` of
transformers at a tiny size ({training.model.hidden_size} wide, {training.model.layers} layers, patches of \
{training.model.patch_size}, frames of {training.model.image_size} x {training.model.image_size}), weights in float16.

    AutoModelForDepthEstimation.from_pretrained("weights/nano_depth_anything")

- **Learned from** {split.clips * simulation.frames} frames of {split.clips} clips of this project's own simulation \
(scenes {", ".join(simulation.scenes)}; seed {simulation.seed}), with varied colours and mirrored. No other data, no \
other weights.
- **Trained** by `kedro run --pipeline=depth_estimator` for {loop.steps} steps of {loop.batch_size} frames (seed \
{loop.seed}); every parameter is in `conf/base/parameters_depth_estimator.yml`.
- **Scores** on {simulation.heldout.clips * simulation.frames} frames of {simulation.heldout.clips} clips of unseen \
configurations (`metrics/depth_estimator.json`); "aligned" with the clip's median depth set right:

| predictor | region | AbsRel raw | AbsRel aligned | delta < 1.25 raw | aligned |
|---|---|---|---|---|---|
{rows}

- **Beyond {training.model.max_depth} m, and in the sky**, it says about {training.model.max_depth} m.
- **Objects** of a few pixels come out as soft blobs: their edges take on the depth of what is behind them.
- **On real videos** it is not to be trusted: it knows open ground, things on it and sky, and sees these in everything \
(a bright window becomes sky). Use a real depth model there (docs/estimators.md).
"""
