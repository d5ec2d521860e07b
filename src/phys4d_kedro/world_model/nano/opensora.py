"""The nano Open-Sora backbone: the real classes of the family at sizes a CPU trains, in a real folder layout."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from phys4d_kedro.world_model.config import NanoOpenSoraConfig
from phys4d_kedro.world_model.nano.text import build_tokenizer, text_encoder_config

_EDGE = 64  # pixels of the square videos that positions are made for
_TRANSFORM_SCALE = 10.0  # steps at 17 frames of 64x64 pixels are about where the nano Wan's are


def build_nano_opensora(folder: Path, config: NanoOpenSoraConfig, *, prompts: Iterable[str], seed: int) -> None:
    """Write an untrained nano Open-Sora pipeline folder, loadable by this package's OpenSoraPipeline.

    A latent stands for 4x4 pixels of four frames, not 8x8. The text encoder keeps its random weights for good, as the
    nano Wan's does.

    Args:
        prompts: their words make the tokenizer's vocabulary (other text falls back to characters).
    """
    from transformers import T5EncoderModel

    from phys4d_kedro.world_model.opensora.pipeline import OpenSoraPipeline, clean_prompt
    from phys4d_kedro.world_model.opensora.scheduler import OpenSoraScheduler

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = build_tokenizer(map(clean_prompt, prompts), config.prompt_tokens)
        text_encoder = T5EncoderModel(text_encoder_config("t5", config.text_dim, len(tokenizer))).eval()
        pipeline = OpenSoraPipeline(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=_vae(config),
            transformer=_transformer(config),
            scheduler=OpenSoraScheduler(transform_scale=_TRANSFORM_SCALE),
            fps=config.fps,
        )
    pipeline.save_pretrained(folder)


def _vae(config: NanoOpenSoraConfig) -> Any:
    from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder

    width = config.vae_channels
    return OpenSoraAutoencoder(
        latent_channels=config.latent_channels,
        spatial_channels=(width, 2 * width, 2 * width),
        spatial_layers=1,
        spatial_scaling=1.0,
        temporal_channels=width,
        temporal_multipliers=(1, 2, 2),
        temporal_downsample=(True, True),
        temporal_layers=1,
        norm_groups=4,
        latent_shift=(0.0,) * config.latent_channels,
        latent_scale=(1.0,) * config.latent_channels,
    )


def _transformer(config: NanoOpenSoraConfig) -> Any:
    from phys4d_kedro.world_model.opensora.transformer import STDiT3

    transformer = STDiT3(
        in_channels=config.latent_channels,
        hidden_size=config.heads * config.head_dim,
        depth=config.layers,
        num_heads=config.heads,
        caption_channels=config.text_dim,
        model_max_length=config.prompt_tokens,
        input_sq_size=_EDGE,
    )
    torch.nn.init.zeros_(transformer.final_layer.linear.weight)  # the first predictions are zero, not noise
    torch.nn.init.zeros_(transformer.final_layer.linear.bias)
    return transformer
