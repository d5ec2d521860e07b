"""The forms that the families of backbones come in, each at a tiny size, with what differs between their tests.

All weights are random: a nano folder's transformer puts out zeros before it is trained, which would prove nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DiffusionPipeline,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

from phys4d_kedro.world_model.backbones.base import Prediction
from phys4d_kedro.world_model.config import NanoCogVideoXConfig, NanoWanConfig
from phys4d_kedro.world_model.nano.cogvideox import build_nano_cogvideox
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from tests.world_model.opensora.tiny_pipeline import write as write_opensora

PROMPTS = ["A red ball rolls left.", "A blue box falls."]
SIZE = {"frames": 9, "height": 32, "width": 48}
GRID = (3, 4, 6)  # tokens of such a video
TINY = NanoWanConfig(
    latent_channels=4,
    vae_base_dim=8,
    vae_decoder_base_dim=8,
    layers=2,
    heads=2,
    head_dim=16,
    ffn_dim=32,
    text_dim=16,
    prompt_tokens=12,
)
TINY_COGVIDEOX = NanoCogVideoXConfig(
    latent_channels=4, vae_channels=8, layers=2, heads=2, head_dim=16, text_dim=16, prompt_tokens=12
)


@dataclass(frozen=True)
class Form:
    """A model's form.

    `build` writes its folder. `given`: numbers of first frames that it takes, which it `places` in the place of noise
    or beside it. `longest`: the most frames of a video, None where there is no end. `finish` makes the output out of a
    reading's features by their last norm, modulation and projection. `isolate` takes out of a transformer whatever lets
    its tokens see each other. `stock`: whether diffusers has a pipeline for it, which takes prompts of `prompt_tokens`.
    """

    name: str
    build: Callable[[Path], Any]
    given: tuple[int, ...]
    places: Literal["in place", "beside"] | None
    finish: Callable[[Any, Prediction], torch.Tensor]
    isolate: Callable[[Any], None]
    longest: int | None = None
    stock: bool = True
    prompt_tokens: int = 12


def video(batch: int = 1, *, seed: int = 0, frames: int = SIZE["frames"]) -> torch.Tensor:
    """(batch, frames, H, W, 3) uint8 of noise."""
    shape = (batch, frames, SIZE["height"], SIZE["width"], 3)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def first_frames(form: Form, batch: int = 1) -> torch.Tensor | None:
    """As few first frames as the form takes."""
    return video(batch)[:, : form.given[0]] if form.given[0] else None


def noise_like(latents: torch.Tensor) -> torch.Tensor:
    """Standard normal noise, always the same."""
    return torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    """Move all parameters, so that none is zero, or one in a norm."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)


def stock_pipeline(folder: Path) -> Any:
    """The folder as the pipeline of diffusers that its model_index.json names."""
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock_sample(form: Form, pipeline: Any, noise: torch.Tensor, **options: Any) -> torch.Tensor:
    """What the stock pipeline makes of noise (1, C, t, h, w): latents as `noise`, or a video if `options` say so."""
    frames_second = form.name.startswith("CogVideoX")
    given = first_frames(form)
    image = {} if given is None else {"image": Image.fromarray(given[0, 0].numpy())}
    result = pipeline(
        **image,
        height=SIZE["height"],
        width=SIZE["width"],
        num_frames=SIZE["frames"],
        latents=noise.transpose(1, 2) if frames_second else noise,
        max_sequence_length=form.prompt_tokens,
        **{"output_type": "latent", **options},
    ).frames
    return result.transpose(1, 2) if frames_second and "output_type" not in options else result


def _wan_parts(folder: Path) -> dict[str, Any]:
    build_nano_wan(folder, TINY, prompts=PROMPTS, seed=0)
    parts = dict(WanImageToVideoPipeline.from_pretrained(folder).components)
    randomise(parts["transformer"])
    return parts


def _wan_22(folder: Path) -> None:
    WanImageToVideoPipeline(**_wan_parts(folder), expand_timesteps=True).save_pretrained(folder)


def _wan_21_text(folder: Path) -> None:
    parts = _wan_parts(folder)
    parts["scheduler"] = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, num_train_timesteps=1000
    )
    named = {name: parts[name] for name in ("tokenizer", "text_encoder", "vae", "scheduler", "transformer")}
    WanPipeline(**named, expand_timesteps=False).save_pretrained(folder)


def _wan_21_image(folder: Path) -> None:
    parts = _wan_parts(folder)
    parts["tokenizer"].model_max_length = 512  # diffusers tells words from image embeddings by it
    parts["image_encoder"] = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=16,
        )
    ).eval()
    parts["image_processor"] = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    channels, width = TINY.latent_channels, TINY.heads * TINY.head_dim
    config = parts["transformer"].config
    more = {"in_channels": 2 * channels + 4, "image_dim": 16, "added_kv_proj_dim": width}
    parts["transformer"] = WanTransformer3DModel.from_config({**config, **more})
    randomise(parts["transformer"])
    WanImageToVideoPipeline(**parts, expand_timesteps=False).save_pretrained(folder)


def _cogvideox_parts(folder: Path) -> dict[str, Any]:
    build_nano_cogvideox(folder, TINY_COGVIDEOX, prompts=PROMPTS, seed=0)
    parts = dict(CogVideoXImageToVideoPipeline.from_pretrained(folder).components)
    randomise(parts["transformer"])
    # The stock pipeline draws the first frame's latents from its posterior, which this makes a point.
    last = parts["vae"].encoder.conv_out.conv
    with torch.no_grad():
        last.weight[TINY_COGVIDEOX.latent_channels :] = 0
        last.bias[TINY_COGVIDEOX.latent_channels :] = -30
    return parts


def _cogvideox_image(folder: Path) -> None:
    parts = _cogvideox_parts(folder)
    parts["vae"].register_to_config(scaling_factor=0.7, invert_scale_latents=True)  # as 5B-I2V
    CogVideoXImageToVideoPipeline(**parts).save_pretrained(folder)


def _cogvideox_text(folder: Path) -> None:
    parts = _cogvideox_parts(folder)
    parts["vae"].register_to_config(scaling_factor=1.15258426)  # as 2B
    less = {"in_channels": TINY_COGVIDEOX.latent_channels, "use_rotary_positional_embeddings": False}
    parts["transformer"] = CogVideoXTransformer3DModel.from_config({**parts["transformer"].config, **less})
    randomise(parts["transformer"])
    CogVideoXPipeline(**parts).save_pretrained(folder)


def _finish_wan(transformer: Any, reading: Prediction) -> torch.Tensor:
    tokens = transformer.norm_out(reading.features) * (1 + reading.scale) + reading.shift
    patches = transformer.proj_out(tokens).unflatten(-1, (1, 2, 2, -1))[:, :, :, :, 0]  # B t h w 2 2 C
    return patches.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)


def _finish_cogvideox(transformer: Any, reading: Prediction) -> torch.Tensor:
    tokens = transformer.norm_out.norm(reading.features) * (1 + reading.scale) + reading.shift
    patches = transformer.proj_out(tokens).unflatten(-1, (-1, 2, 2))  # B t h w C 2 2
    return patches.permute(0, 4, 1, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


def _isolate_wan(transformer: Any) -> None:
    for block in transformer.blocks:
        _silence(block.attn1.to_out[0])


def _isolate_cogvideox(transformer: Any) -> None:
    for block in transformer.transformer_blocks:
        _silence(block.attn1.to_out[0])


def _finish_opensora(transformer: Any, reading: Prediction) -> torch.Tensor:
    tokens = transformer.final_layer.norm_final(reading.features) * (1 + reading.scale) + reading.shift
    patches = transformer.final_layer.linear(tokens).unflatten(-1, (2, 2, -1))  # B t h w 2 2 C
    video = patches.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)
    return video[:, : video.shape[1] // 2]  # the rest are variances, which nobody uses


def _isolate_opensora(transformer: Any) -> None:
    for block in (*transformer.spatial_blocks, *transformer.temporal_blocks):
        _silence(block.attn.proj)


def _silence(layer: torch.nn.Linear) -> None:
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()


_WAN = {"finish": _finish_wan, "isolate": _isolate_wan, "longest": 253}
_COGVIDEOX = {"finish": _finish_cogvideox, "isolate": _isolate_cogvideox}
_OPENSORA = {"finish": _finish_opensora, "isolate": _isolate_opensora}
FORMS = [
    Form("Wan 2.2 TI2V", _wan_22, given=(1, 0, 5), places="in place", **_WAN),
    Form("Wan 2.1 T2V", _wan_21_text, given=(0,), places=None, **_WAN),
    Form("Wan 2.1 I2V", _wan_21_image, given=(1, 5), places="beside", prompt_tokens=512, **_WAN),
    Form("CogVideoX T2V", _cogvideox_text, given=(0,), places=None, longest=49, **_COGVIDEOX),
    Form("CogVideoX I2V", _cogvideox_image, given=(1,), places="beside", **_COGVIDEOX),
    Form("Open-Sora", write_opensora, given=(1, 0, 5), places="in place", stock=False, longest=17, **_OPENSORA),
]
