"""Nano backbones: the real classes of each family at sizes a CPU trains, in real folder layouts."""

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated

from pydantic import Field

from phys4d_kedro.world_model.config import NanoCogVideoXConfig, NanoOpenSoraConfig, NanoWanConfig

NanoConfig = Annotated[NanoWanConfig | NanoCogVideoXConfig | NanoOpenSoraConfig, Field(discriminator="family")]


def build_nano(folder: Path, config: NanoConfig, *, prompts: Iterable[str], seed: int) -> None:
    """Write an untrained backbone of the family and sizes of the config, as a folder in diffusers layout."""
    module = import_module(f"{__name__}.{config.family}")
    build: Callable[..., None] = getattr(module, f"build_nano_{config.family}")
    build(folder, config, prompts=prompts, seed=seed)
