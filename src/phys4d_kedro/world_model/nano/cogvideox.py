"""The nano CogVideoX backbone: the real diffusers and transformers classes at sizes a CPU trains, in a real folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from phys4d_kedro.world_model.config import NanoCogVideoXConfig
from phys4d_kedro.world_model.nano.text import build_tokenizer, text_encoder_config

_TEMPORAL = 4
_LEVELS = 3  # resolutions of the VAE: 4 pixels an edge of a latent
_SAMPLE = 16  # latents an edge of the size it is made for, 64 pixels; rotary embeddings of others are scaled to it
_FRAMES = 49


def build_nano_cogvideox(folder: Path, config: NanoCogVideoXConfig, *, prompts: Iterable[str], seed: int) -> None:
    """Write an untrained nano CogVideoX pipeline folder, loadable by diffusers' CogVideoXImageToVideoPipeline.

    It is of the form of CogVideoX-5B-I2V, but with no learned position embeddings, so that it takes videos of any
    size. The text encoder keeps its random weights for good, as the nano Wan's does.

    Args:
        prompts: their words make the tokenizer's vocabulary (other text falls back to characters).
    """
    from diffusers import CogVideoXDDIMScheduler, CogVideoXImageToVideoPipeline
    from transformers import T5EncoderModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = build_tokenizer(prompts, config.prompt_tokens)
        text_encoder = T5EncoderModel(text_encoder_config("t5", config.text_dim, len(tokenizer))).eval()
        pipeline = CogVideoXImageToVideoPipeline(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=_vae(config),
            transformer=_transformer(config),
            scheduler=CogVideoXDDIMScheduler(
                prediction_type="v_prediction",
                clip_sample=False,
                rescale_betas_zero_snr=True,
                snr_shift_scale=1.0,
                timestep_spacing="trailing",
            ),
        )
    pipeline.save_pretrained(folder)


def _vae(config: NanoCogVideoXConfig) -> Any:
    from diffusers import AutoencoderKLCogVideoX

    width = config.vae_channels
    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * _LEVELS,
        up_block_types=("CogVideoXUpBlock3D",) * _LEVELS,
        block_out_channels=(width, *(2 * width,) * (_LEVELS - 1)),
        latent_channels=config.latent_channels,
        layers_per_block=1,
        norm_num_groups=4,
        temporal_compression_ratio=_TEMPORAL,
        scaling_factor=1.0,
    )


def _transformer(config: NanoCogVideoXConfig) -> Any:
    from diffusers import CogVideoXTransformer3DModel

    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=config.heads,
        attention_head_dim=config.head_dim,
        in_channels=2 * config.latent_channels,
        out_channels=config.latent_channels,
        time_embed_dim=config.heads * config.head_dim,
        text_embed_dim=config.text_dim,
        num_layers=config.layers,
        sample_width=_SAMPLE,
        sample_height=_SAMPLE,
        sample_frames=_FRAMES,
        temporal_compression_ratio=_TEMPORAL,
        max_text_seq_length=config.prompt_tokens,
        use_rotary_positional_embeddings=True,
    )
    torch.nn.init.zeros_(transformer.proj_out.weight)  # the first predictions are zero, not noise
    torch.nn.init.zeros_(transformer.proj_out.bias)
    return transformer
