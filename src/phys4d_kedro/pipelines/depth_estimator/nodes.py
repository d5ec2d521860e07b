"""Nodes of the depth estimator: simulated frames -> a nano Depth Anything, its scores, its folder in the repository."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.training.config import DepthModelConfig


def simulate_training_frames(parameters: SimulationConfig) -> ClipSource:
    """Simulate short clips of many configurations, a few frames far apart in time, to learn depth from."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "train")


def simulate_heldout_frames(parameters: SimulationConfig) -> ClipSource:
    """Do the same for configurations that the model does not learn from."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "heldout")


def train_depth_model(
    clips: ClipStore, quality: dict[str, Any], parameters: DepthModelConfig
) -> tuple[Callable[[Path], None], pd.DataFrame]:
    """Train a nano Depth Anything on the frames; `quality` stands for their passed validation."""
    from phys4d_kedro.training import depth_model

    return depth_model.train_depth_model(clips, parameters)


def score_depth_model(
    model: Path, heldout: ClipStore, heldout_quality: dict[str, Any], train: ClipStore
) -> dict[str, Any]:
    """Score the folder as written, weights rounded to float16, beside constant and per-pixel medians."""
    from phys4d_kedro.evaluation.depth_model import score_depth_model as score
    from phys4d_kedro.evaluation.score_quality import validate_figures
    from phys4d_kedro.perception.config import DepthConfig
    from phys4d_kedro.perception.depth import load_depth_estimator

    metrics = dict(score(load_depth_estimator(DepthConfig(model=str(model))), heldout, train))
    validate_figures(metrics)
    return metrics


def publish_depth_model(
    model: Path, scores: dict[str, Any], simulation: SimulationConfig, training: DepthModelConfig
) -> Callable[[Path], None]:
    """Put the model where pseudo-labelling finds it, with a card that says what it is and how good."""
    from phys4d_kedro.training.depth_model import publish

    return publish(model, scores, simulation, training)
