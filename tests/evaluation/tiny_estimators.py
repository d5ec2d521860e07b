"""Parameters of judging tiny clips, with estimators of a few random weights."""

from pathlib import Path

from phys4d_kedro.evaluation.config import EvaluationConfig
from phys4d_kedro.perception.config import (
    ConsistencyConfig,
    DepthConfig,
    FlowConfig,
    NanoDepthConfig,
    PseudoLabelConfig,
)
from phys4d_kedro.perception.nano_depth_anything import build_model, save_model

EVALUATION = EvaluationConfig(
    noise_level=0.1,
    moving_threshold=0.01,
    tracks=64,
    ridge_penalty=0.01,
    bootstrap_resamples=50,
    example_clips=2,
    seed=0,
)
_TINY_DEPTH = NanoDepthConfig(
    image_size=28,
    patch_size=14,
    hidden_size=16,
    layers=4,
    heads=2,
    neck_sizes=(4, 4, 4, 4),
    fusion_size=4,
    head_size=4,
    max_depth=20,
)


def tiny_labels(folder: Path) -> PseudoLabelConfig:
    """Optical flow, and a depth model that is written to the folder."""
    save_model(build_model(_TINY_DEPTH, seed=0), folder)
    return PseudoLabelConfig(
        flow=FlowConfig(),
        depth=DepthConfig(model=str(folder)),
        consistency=ConsistencyConfig(alignment="none", prior=1, smoothing_passes=0),
    )
