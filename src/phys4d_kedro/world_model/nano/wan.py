"""The nano Wan backbone: the real diffusers and transformers classes at sizes a CPU trains, in a real folder layout."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from phys4d_kedro.world_model.config import NanoWanConfig
from phys4d_kedro.world_model.nano.text import build_tokenizer, text_encoder_config

_TEMPORAL = 4
_SPATIAL = 4
_PATCH = (1, 2, 2)  # diffusers' Wan pipelines take it for granted when every token has its own timestep


def build_nano_wan(folder: Path, config: NanoWanConfig, *, prompts: Iterable[str], seed: int) -> None:
    """Write an untrained nano Wan pipeline folder, loadable by diffusers' WanImageToVideoPipeline.

    The text encoder keeps its random weights for good: it is a fixed random embedding of words and their context,
    which the transformer learns to read.

    Args:
        prompts: their words make the tokenizer's vocabulary (other text falls back to characters).
    """
    from diffusers import FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = build_tokenizer(prompts, config.prompt_tokens)
        pipeline = WanImageToVideoPipeline(
            tokenizer=tokenizer,
            text_encoder=_text_encoder(config, len(tokenizer)),
            vae=_vae(config),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            transformer=_transformer(config),
            image_encoder=None,
            image_processor=None,
            expand_timesteps=True,
        )
    pipeline.save_pretrained(folder)


def _text_encoder(config: NanoWanConfig, vocabulary: int) -> Any:
    from transformers import UMT5EncoderModel

    return UMT5EncoderModel(text_encoder_config("umt5", config.text_dim, vocabulary)).eval()


def _vae(config: NanoWanConfig) -> Any:
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=config.vae_base_dim,
        decoder_base_dim=config.vae_decoder_base_dim,
        z_dim=config.latent_channels,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        is_residual=True,
        latents_mean=[0.0] * config.latent_channels,
        latents_std=[1.0] * config.latent_channels,
        scale_factor_temporal=_TEMPORAL,
        scale_factor_spatial=_SPATIAL,
    )


def _transformer(config: NanoWanConfig) -> Any:
    from diffusers import WanTransformer3DModel

    transformer = WanTransformer3DModel(
        patch_size=_PATCH,
        num_attention_heads=config.heads,
        attention_head_dim=config.head_dim,
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        text_dim=config.text_dim,
        freq_dim=64,
        ffn_dim=config.ffn_dim,
        num_layers=config.layers,
        rope_max_seq_len=64,
    )
    torch.nn.init.zeros_(transformer.proj_out.weight)  # the first predictions are zero, not noise
    torch.nn.init.zeros_(transformer.proj_out.bias)
    return transformer
