"""Readings of no backbone, and small heads for them."""

from typing import Any

import torch

from phys4d_kedro.world_model.backbones.base import LAYERS, Prediction
from phys4d_kedro.world_model.heads import HEADS, Head

R, P, C, D = 4, 4, 3, 16
COMMON = {"feature_dim": D, "channels": C, "temporal": R, "pixels": P, "backbone": "abc"}
STATISTICS = {"mean": [1.0, 2.0, 3.0], "std": [1.0, 0.5, 2.0]}
SIZES: dict[str, dict[str, int]] = {
    "linear": {},
    "conv": {"hidden": 16, "width": 8, "blocks": 1},
    "dpt": {"width": 16, "heads": 2, "cells": 2},
}
KINDS = list(SIZES)


def small_head(kind: str, **changes: Any) -> Head:
    """A small head with random weights."""
    torch.manual_seed(0)
    return HEADS[kind](**{**COMMON, **STATISTICS, **SIZES[kind], **changes})


def reading_of(features: torch.Tensor, *, shift: float = 0.0, scale: float = 0.0) -> Prediction:
    """A reading whose layers all look alike."""
    return Prediction(
        features, (features,) * LAYERS, torch.full_like(features, shift), torch.full_like(features, scale)
    )


def random_features(seed: int = 0, *, clips: int = 1, grid: tuple[int, int, int] = (3, 2, 2)) -> torch.Tensor:
    """(clips, *grid, D) of normal numbers."""
    return torch.randn(clips, *grid, D, generator=torch.Generator().manual_seed(seed))
