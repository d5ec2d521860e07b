"""The Wan family (2.1, 2.2): flow matching on the latents of AutoencoderKLWan.

Flow matching: x_s = (1 - s) x_0 + s n for noise n and level s in [0, 1]; the transformer predicts the velocity
dx/ds = n - x_0 and is told s as a timestep 1000 s. In the Wan 2.2 TI2V form (`expand_timesteps` in model_index.json)
every token has a timestep of its own and the first latent frame, the condition, is clean at timestep 0.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from phys4d_kedro.world_model.backbones.base import LAYERS, Prediction
from phys4d_kedro.world_model.folders import component_fingerprint, read_model_index, resolve_folder

_TIMESTEPS = 1000


class WanBackbone:
    """A Wan model in a diffusers folder. See `Backbone` for the contract of each method.

    Args:
        source: a folder in diffusers layout, or a hub id.
        dtype: of all weights.
        device: where they go.

    Raises:
        CheckpointError: the folder is missing or partial, is of another family, or the hub cannot be reached.
    """

    def __init__(
        self, source: str | Path, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
    ) -> None:
        self.folder = resolve_folder(source)
        index = read_model_index(self.folder, family="Wan")
        self.expand_timesteps = bool(index.get("expand_timesteps", False))
        self.dtype = dtype
        self.device = torch.device(device)

    def _load(self, name: str, loader: Any) -> Any:
        return loader.from_pretrained(self.folder, subfolder=name, dtype=self.dtype).to(self.device).eval()

    @cached_property
    def vae(self) -> Any:
        """AutoencoderKLWan."""
        from diffusers import AutoencoderKLWan

        return self._load("vae", AutoencoderKLWan).requires_grad_(False)

    @cached_property
    def transformer(self) -> Any:
        """WanTransformer3DModel."""
        from diffusers import WanTransformer3DModel

        return self._load("transformer", WanTransformer3DModel)

    @cached_property
    def _prompt_encoder(self) -> Any:
        """The stock pipeline with nothing but its text side, so that prompts are embedded exactly as it does."""
        from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline
        from transformers import AutoTokenizer, UMT5EncoderModel

        return WanPipeline(
            tokenizer=AutoTokenizer.from_pretrained(self.folder, subfolder="tokenizer"),
            text_encoder=self._load("text_encoder", UMT5EncoderModel),
            vae=None,
            scheduler=FlowMatchEulerDiscreteScheduler(),
            transformer=None,
        )

    @property
    def temporal_compression(self) -> int:
        return int(self.vae.config.scale_factor_temporal)

    @property
    def token_pixels(self) -> int:
        return int(self.vae.config.scale_factor_spatial) * int(self.transformer.config.patch_size[1])

    @property
    def feature_dim(self) -> int:
        config = self.transformer.config
        return int(config.num_attention_heads * config.attention_head_dim)

    def fingerprint(self, *components: str) -> str:
        return component_fingerprint(self.folder, components)

    @torch.no_grad()
    def encode_video(self, rgb: torch.Tensor) -> torch.Tensor:
        pixels = rgb.to(self.device).permute(0, 4, 1, 2, 3).to(self.dtype) / 127.5 - 1
        latents = self.vae.encode(pixels).latent_dist.mode()
        mean, std = self._latent_statistics()
        return ((latents - mean) / std).float()

    @torch.no_grad()
    def decode_video(self, latents: torch.Tensor) -> torch.Tensor:
        mean, std = self._latent_statistics()
        pixels = self.vae.decode(latents.to(self.device, self.dtype) * std + mean).sample
        return ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1)

    @torch.no_grad()
    def encode_prompts(self, prompts: list[str]) -> torch.Tensor:
        length = min(int(self._prompt_encoder.tokenizer.model_max_length), 512)  # 512: as the family was trained
        embeddings, _ = self._prompt_encoder.encode_prompt(
            prompts,
            do_classifier_free_guidance=False,
            max_sequence_length=length,
            device=self.device,
            dtype=self.dtype,
        )
        return embeddings.float()

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        level = noise_level.view(-1, 1, 1, 1, 1) * self.loss_mask(latents)
        return (1 - level) * latents + level * noise

    def target(self, latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return noise - latents

    def loss_mask(self, latents: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(1, 1, latents.shape[2], 1, 1, device=latents.device)
        if self.expand_timesteps:
            mask[:, :, 0] = 0
        return mask

    def predict(self, noisy: torch.Tensor, noise_level: torch.Tensor, prompt_embeddings: torch.Tensor) -> Prediction:
        patch_t, patch_h, patch_w = self.transformer.config.patch_size
        t, h, w = noisy.shape[2] // patch_t, noisy.shape[3] // patch_h, noisy.shape[4] // patch_w
        timestep = _TIMESTEPS * noise_level.to(self.device)
        if self.expand_timesteps:
            frame_is_noisy = self.loss_mask(noisy).view(1, -1, 1)
            timestep = (timestep.view(-1, 1, 1) * frame_is_noisy).expand(-1, t, h * w).flatten(1)
        with _taps(self.transformer) as tapped:
            velocity = self.transformer(
                noisy.to(self.device, self.dtype),
                timestep,
                prompt_embeddings.to(self.device, self.dtype),
                return_dict=False,
            )[0]
        time_embedding = tapped.time_embedding
        if time_embedding.ndim == 2:  # one timestep a clip
            time_embedding = time_embedding[:, None].expand(-1, t * h * w, -1)
        layers = tuple(tapped.tokens[last].unflatten(1, (t, h, w)).float() for last in _layer_ends(self.transformer))
        return Prediction(velocity.float(), layers, time_embedding.unflatten(1, (t, h, w)).float())

    def _latent_statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.vae.config
        mean = torch.tensor(config.latents_mean, device=self.device, dtype=self.dtype).view(1, -1, 1, 1, 1)
        std = torch.tensor(config.latents_std, device=self.device, dtype=self.dtype).view(1, -1, 1, 1, 1)
        return mean, std


@dataclass
class _Tapped:
    """Tokens after some blocks, by the block's number, and the time embedding of one forward pass."""

    tokens: dict[int, torch.Tensor] = field(default_factory=dict)
    time_embedding: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    def keep_tokens(self, block: int, _module: torch.nn.Module, _args: Any, output: torch.Tensor) -> None:
        self.tokens[block] = output

    def keep_time(self, _module: torch.nn.Module, _args: Any, output: tuple[torch.Tensor, ...]) -> None:
        self.time_embedding = output[0]


def _layer_ends(transformer: Any) -> list[int]:
    """Numbers of the blocks that end each quarter of them."""
    return [-(-len(transformer.blocks) * (quarter + 1) // LAYERS) - 1 for quarter in range(LAYERS)]


@contextmanager
def _taps(transformer: Any) -> Iterator[_Tapped]:
    """Collect, during one forward pass, the tokens after each quarter of the blocks and the time embedding."""
    tapped = _Tapped()
    hooks = [transformer.condition_embedder.register_forward_hook(tapped.keep_time)]
    for block in set(_layer_ends(transformer)):
        hooks.append(transformer.blocks[block].register_forward_hook(partial(tapped.keep_tokens, block)))
    try:
        yield tapped
    finally:
        for hook in hooks:
            hook.remove()
