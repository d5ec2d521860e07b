"""Open-Sora v1.2 as a diffusers pipeline: text to video, from nothing or from first frames.

Letters: B videos, C latent channels, T H W pixel frames, rows and columns, t h w those of latents, L prompt tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.loaders import CogVideoXLoraLoaderMixin
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder
from phys4d_kedro.world_model.opensora.scheduler import OpenSoraScheduler
from phys4d_kedro.world_model.opensora.transformer import STDiT3

FPS = 24.0  # of the videos that the published model is asked for
_IMAGE_FPS = 120.0  # by which the transformer knows single images


@dataclass
class OpenSoraPipelineOutput(BaseOutput):
    """`frames`: videos as `output_type` says."""

    frames: Any


class OpenSoraPipeline(DiffusionPipeline, CogVideoXLoraLoaderMixin):
    """Text to video, and to the rest of a video whose first frames are given.

    LoRA is as CogVideoX's, which knows nothing of the family: weights of `transformer`. The published model expects
    prompts to end in "aesthetic score: 6.5." or so.

    Args:
        fps: frame rate in Hz of the videos that this model is for; kept in model_index.json.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: T5EncoderModel,
        vae: OpenSoraAutoencoder,
        transformer: STDiT3,
        scheduler: OpenSoraScheduler,
        *,
        fps: float = FPS,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer, text_encoder=text_encoder, vae=vae, transformer=transformer, scheduler=scheduler
        )
        self.register_to_config(fps=fps)
        self.video_processor = VideoProcessor(vae_scale_factor=1)  # sizes are checked here, not rounded there

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        height: int,
        width: int,
        num_frames: int,
        image: Any = None,
        fps: float | None = None,
        negative_prompt: str = "",
        num_inference_steps: int = 30,
        guidance_scale: float = 7.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> OpenSoraPipelineOutput | tuple[Any]:
        """Generate one video per prompt.

        Args:
            prompt: what happens; B of them.
            height: H.
            width: W.
            num_frames: T.
            image: the first frame, or a list of first frames, of all videos; or a list of such lists. PIL images, or
                what else diffusers' `VideoProcessor` takes.
            fps: frame rate of the videos; by default that of the model.
            negative_prompt: what guidance leads away from; empty: the embedding that is trained for no prompt.
            num_inference_steps: Euler steps.
            guidance_scale: classifier-free guidance, without prompt + scale (with - without); 1: none.
            generator: draws the noise; one a video makes it independent of the batch.
            latents: the noise (B, C, t, h, w) itself.
            output_type: pil, np, pt, or latent for normalised latents (B, C, t, h, w).
            return_dict: whether the result is in an output class, or a tuple.

        Raises:
            InvalidClipError: rows or columns do not fit the VAE, or more frames are given than wanted.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        device, guided = self._execution_device, guidance_scale != 1
        shape = self._latent_shape(len(prompts), num_frames, height, width)
        given = None if image is None else self._encode_frames(image, num_frames, height, width)
        text, mask = self._embed(prompts, negative_prompt if guided else None, device)
        if latents is None:
            latents = randn_tensor(shape, generator=generator, device=device)
        latents = place_first(latents.to(device), given)
        noisy_frames = torch.ones(shape[2], device=device)
        noisy_frames[: 0 if given is None else given.shape[2]] = 0
        rate = told_fps(self.config.fps if fps is None else fps, shape[2])
        told = {"fps": torch.full((len(text),), rate, device=device), "height": height, "width": width}

        self.scheduler.set_timesteps(
            num_inference_steps, height=height, width=width, num_frames=num_frames, device=device
        )
        for timestep in self.progress_bar(self.scheduler.timesteps):
            twice = torch.cat([latents] * 2) if guided else latents
            levels = (timestep * noisy_frames).expand(len(twice), -1)
            velocity = self.transformer(twice, levels, text, mask, **told, return_dict=False)[0][:, : shape[1]]
            if guided:
                conditional, unconditional = velocity.chunk(2)
                velocity = unconditional + guidance_scale * (conditional - unconditional)
            latents = self.scheduler.step(velocity, timestep, latents, return_dict=False)[0]
            latents = place_first(latents, given)

        frames: Any = latents
        if output_type != "latent":
            video = self.vae.decode(latents.to(self.vae.dtype), num_frames=num_frames).sample
            frames = self.video_processor.postprocess_video(video, output_type)
        self.maybe_free_model_hooks()
        return OpenSoraPipelineOutput(frames=frames) if return_dict else (frames,)

    def _embed(
        self, prompts: list[str], negative: str | None, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings and mask of the prompts and, behind them, of what is guided away from, None for no guidance."""
        length = int(self.transformer.config.model_max_length)
        text, mask = encode_prompts(self.tokenizer, self.text_encoder, prompts, length, device)
        if negative is None:
            return text, mask
        if negative:
            away, away_mask = encode_prompts(
                self.tokenizer, self.text_encoder, [negative] * len(prompts), length, device
            )
        else:
            away, away_mask = self.transformer.y_embedder.y_embedding.to(text).expand_as(text), mask
        return torch.cat([text, away]), torch.cat([mask, away_mask])

    def _encode_frames(self, image: Any, num_frames: int, height: int, width: int) -> torch.Tensor:
        """Latents (1 or B, C, k, h, w) of first frames."""
        video = image if isinstance(image, list) or getattr(image, "ndim", 0) > 3 else [image]
        pixels = self.video_processor.preprocess_video(video, height=height, width=width)
        if pixels.shape[2] > num_frames:
            raise InvalidClipError(f"{pixels.shape[2]} frames cannot be given of {num_frames}")
        posterior = self.vae.encode(pixels.to(self._execution_device, self.vae.dtype)).latent_dist
        return posterior.mode().float()

    def _latent_shape(self, batch: int, frames: int, height: int, width: int) -> tuple[int, int, int, int, int]:
        pixels = self.vae.spatial_compression
        if height % pixels or width % pixels:
            raise InvalidClipError(f"height and width must be multiples of {pixels}, not {height} and {width}")
        t = self.vae.latent_frames(frames)
        return batch, int(self.transformer.config.in_channels), t, height // pixels, width // pixels


@torch.no_grad()
def encode_prompts(
    tokenizer: Any, text_encoder: Any, prompts: Sequence[str], length: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings (B, L, width) of prompts cut or padded to L = `length` tokens, and where they count (B, L) bool."""
    tokens = tokenizer(
        [clean_prompt(prompt) for prompt in prompts],
        max_length=length,
        padding="max_length",
        truncation=True,
        return_attention_mask=True,
        return_tensors="pt",
    ).to(device)
    embeddings = text_encoder(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
    return embeddings.last_hidden_state, tokens.attention_mask.bool()


def clean_prompt(prompt: str) -> str:
    """A prompt as the model was trained on: lower case.

    Open-Sora also takes marks of web pages (links, tags, file names) out of captions, which prompts do not have.
    """
    return prompt.strip().lower()


def told_fps(fps: float, latent_frames: int) -> float:
    """The frame rate that the transformer is told: a single frame is an image, which has one of its own."""
    return fps if latent_frames > 1 else _IMAGE_FPS


def place_first(latents: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
    """Latents (B, C, t, h, w) with the first of them, (1 or B, C, k, h, w), as given."""
    if given is None:
        return latents
    first = given.to(latents).expand(len(latents), -1, -1, -1, -1)
    return torch.cat([first, latents[:, :, first.shape[2] :]], 2)
