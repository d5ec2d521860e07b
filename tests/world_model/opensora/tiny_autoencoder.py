"""A tiny video VAE of Open-Sora's real class, with random weights."""

from typing import Any

import torch

from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder

TINY: dict[str, Any] = {
    "spatial_channels": (4, 8),
    "spatial_layers": 1,
    "temporal_channels": 4,
    "temporal_multipliers": (1, 2, 2, 4),
    "temporal_layers": 2,
    "norm_groups": 2,
    "micro_batch_size": 5,
    "tile_size": 16,
}


def build(**sizes: Any) -> OpenSoraAutoencoder:
    """A tiny VAE of random weights, none of them zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = OpenSoraAutoencoder(**{**TINY, **sizes}).eval()
        for parameter in vae.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return vae.requires_grad_(False)


def video(frames: int, *, seed: int = 0, batch: int = 1) -> torch.Tensor:
    """(batch, 3, frames, 8, 12) in [-1, 1]."""
    return torch.rand(batch, 3, frames, 8, 12, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def latents(vae: OpenSoraAutoencoder, pixels: torch.Tensor) -> torch.Tensor:
    return vae.encode(pixels).latent_dist.mode()
