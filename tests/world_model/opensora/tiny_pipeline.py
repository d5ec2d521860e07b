"""A tiny Open-Sora pipeline folder whose transformer has random weights, and videos for it."""

from pathlib import Path
from typing import Any

import torch

from phys4d_kedro.world_model.config import NanoOpenSoraConfig
from phys4d_kedro.world_model.nano.opensora import build_nano_opensora
from phys4d_kedro.world_model.opensora.pipeline import OpenSoraPipeline

PROMPTS = ["A red ball rolls left.", "A blue box falls."]
SIZE = {"height": 32, "width": 48}
FRAMES = 9
FPS = 8.0
TINY = NanoOpenSoraConfig(
    latent_channels=4, vae_channels=4, layers=2, heads=2, head_dim=16, text_dim=16, prompt_tokens=12, fps=FPS
)


def write(folder: Path) -> Path:
    """The folder; all of its transformer's weights are moved, as it puts out zeros before it is trained."""
    build_nano_opensora(folder, TINY, prompts=PROMPTS, seed=0)
    pipeline = load(folder)
    generator = torch.Generator().manual_seed(0)
    for parameter in pipeline.transformer.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    pipeline.save_pretrained(folder)
    return folder


def load(folder: Path, **parts: Any) -> OpenSoraPipeline:
    pipeline = OpenSoraPipeline.from_pretrained(folder, **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def video(frames: int = FRAMES, *, batch: int = 1, seed: int = 0) -> torch.Tensor:
    """(batch, frames, H, W, 3) uint8 of noise."""
    shape = (batch, frames, SIZE["height"], SIZE["width"], 3)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
