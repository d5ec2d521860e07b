"""What every video diffusion backbone offers, so that nothing outside its own file asks which family it is.

Letters: B clips, C latent channels, t latent frames, h w latent rows and columns, T H W pixel frames, rows and columns,
D feature width, L prompt tokens.
"""

from dataclasses import dataclass
from typing import Protocol

import torch

LAYERS = 4  # how many depths of the transformer `Prediction.layers` shows


@dataclass(frozen=True)
class Prediction:
    """One pass of the transformer.

    `velocity` (B, C, t, h, w): the prediction in the family's own parametrisation. `layers`: hidden tokens after each
    quarter of the blocks, (B, t, h', w', D) each. `time_embedding` (B, t, h', w', D): what modulates the last of them.
    """

    velocity: torch.Tensor
    layers: tuple[torch.Tensor, ...]
    time_embedding: torch.Tensor

    @property
    def features(self) -> torch.Tensor:
        """The hidden tokens right before the output projection: the last of the layers."""
        return self.layers[-1]


class Backbone(Protocol):
    """A pretrained latent video diffusion transformer with its VAE and text encoder, each loaded when first used."""

    @property
    def temporal_compression(self) -> int:
        """Pixel frames a latent frame stands for; the first latent frame stands for one."""
        ...

    @property
    def token_pixels(self) -> int:
        """Edge, in pixels, of the square that a token of the transformer stands for."""
        ...

    @property
    def feature_dim(self) -> int:
        """D, the width of the features."""
        ...

    @property
    def transformer(self) -> torch.nn.Module:
        """The denoising transformer."""
        ...

    def fingerprint(self, *components: str) -> str:
        """SHA-256 over the files of the named components ('vae', 'text_encoder', 'tokenizer', 'transformer')."""
        ...

    def encode_video(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, T, H, W, 3) uint8 -> normalised latents (B, C, t, h, w) float32, without sampling noise."""
        ...

    def decode_video(self, latents: torch.Tensor) -> torch.Tensor:
        """Normalised latents (B, C, t, h, w) -> (B, T, H, W, 3) uint8."""
        ...

    def encode_prompts(self, prompts: list[str]) -> torch.Tensor:
        """(B, L, text width) float32."""
        ...

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        """Latents at `noise_level` (B,) in [0, 1]; frames that condition the video stay clean."""
        ...

    def target(self, latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """What `velocity` should be, for the denoising loss."""
        ...

    def loss_mask(self, latents: torch.Tensor) -> torch.Tensor:
        """(1, 1, t, 1, 1): 1 where a latent frame is noised and so counts in the denoising loss, else 0."""
        ...

    def predict(self, noisy: torch.Tensor, noise_level: torch.Tensor, prompt_embeddings: torch.Tensor) -> Prediction:
        """Run the transformer on latents at `noise_level` (B,)."""
        ...
