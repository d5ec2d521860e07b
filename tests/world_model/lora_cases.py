"""Backbones with an adapter that does something, and what tests of adapters compare."""

from pathlib import Path
from typing import Any

import torch

from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.config import LoadingConfig, LoraSettings
from phys4d_kedro.world_model.lora import add_lora, lora_parameters
from phys4d_kedro.world_model.model_card import ModelCard
from phys4d_kedro.world_model.sampling import sample
from tests.world_model.families import PROMPTS, SIZE, Form, first_frames

SETTINGS = LoraSettings(rank=3, alpha=6)
CARD = ModelCard(title="A test", base="nano_test", data="nothing.", seeds=(0,), command="kedro run")


def with_lora(folder: Path, settings: LoraSettings = SETTINGS, loading: LoadingConfig | None = None) -> Backbone:
    """The backbone of a folder, with an adapter as if it was trained."""
    backbone = load_backbone(folder, loading)
    add_lora(backbone, settings, seed=0)
    move(backbone.transformer)
    return backbone


def move(transformer: Any, seed: int = 1) -> None:
    """Change all of an adapter's weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in lora_parameters(transformer):
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)


def latents_of(form: Form, backbone: Backbone, *, guidance: float = 1.0) -> torch.Tensor:
    """What the sampler makes of the first prompt."""
    condition = backbone.encode_condition(PROMPTS[:1], first_frames(form), frames=SIZE["frames"])
    return sample(backbone, condition, **SIZE, steps=3, guidance=guidance, seeds=[3], negative=PROMPTS[1])


def copies(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as they are now."""
    return {key: value.detach().clone() for key, value in state.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether keys, dtypes and bytes are equal."""
    return one.keys() == other.keys() and all(
        value.dtype == other[key].dtype and torch.equal(value, other[key]) for key, value in one.items()
    )
