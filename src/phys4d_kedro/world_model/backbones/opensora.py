"""Open-Sora v1.2: rectified flow on the latents of its own video VAE.

x_s = (1 - s) x_0 + s n for noise n and level s in [0, 1]; the transformer predicts the velocity v = x_0 - n and is told
s as a timestep 1000 s. Latents of first frames stand clean in the place of noise, and every latent frame has a timestep
of its own, theirs 0.

The VAE compresses 17 frames at a time to 5 latent frames, the first of which stands for one frame, the others for four.
So clips of 1 + 4 k frames up to 17 are compressed like those of the other families; longer ones must be whole chunks,
and the first latent frame of every chunk stands for one frame.

The transformer is also told the frame rate: `fps` in model_index.json, 24 where there is none.
"""

import copy
from functools import cached_property
from typing import Any, ClassVar

import torch

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.world_model.backbones.base import Condition, Mixture, Prediction
from phys4d_kedro.world_model.backbones.pretrained import TIMESTEPS, PretrainedBackbone, per_clip, to_pixels, to_rgb
from phys4d_kedro.world_model.backbones.taps import taps
from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder
from phys4d_kedro.world_model.opensora.pipeline import FPS, encode_prompts, place_first, told_fps
from phys4d_kedro.world_model.opensora.scheduler import OpenSoraScheduler
from phys4d_kedro.world_model.opensora.transformer import STDiT3


class OpenSoraBackbone(PretrainedBackbone):
    """An Open-Sora v1.2 model in a diffusers folder. See `Backbone` for the contract of each method."""

    family: ClassVar[str] = "OpenSora"
    pipelines: ClassVar[tuple[str, ...]] = ("OpenSoraPipeline",)
    takes_first_frame: ClassVar[bool] = True
    lora_targets: ClassVar[list[str]] = [
        "attn.qkv",
        "attn.proj",
        "cross_attn.q_linear",
        "cross_attn.kv_linear",
        "cross_attn.proj",
        "mlp.fc1",
        "mlp.fc2",
    ]

    @cached_property
    def vae(self) -> Any:
        """OpenSoraAutoencoder."""
        return self.load_vae(OpenSoraAutoencoder)

    @cached_property
    def transformer(self) -> Any:
        """STDiT3."""
        return self.load_transformer(STDiT3)

    @cached_property
    def transformer_config(self) -> Any:
        """The transformer's configuration, which is read without its weights."""
        return self.read_config("transformer", STDiT3)

    @cached_property
    def scheduler(self) -> Any:
        """The scheduler of the folder; a sampler takes a copy."""
        return OpenSoraScheduler.from_pretrained(self.folder, subfolder="scheduler")

    @cached_property
    def _text_encoder(self) -> tuple[Any, Any]:
        """The tokenizer and T5."""
        from transformers import AutoTokenizer, T5EncoderModel

        tokenizer = AutoTokenizer.from_pretrained(self.folder, subfolder="tokenizer")
        return tokenizer, self.load_part("text_encoder", T5EncoderModel)

    @cached_property
    def _sizes(self) -> OpenSoraAutoencoder:
        """The VAE without its weights, for its sizes."""
        with torch.device("meta"):
            return OpenSoraAutoencoder.from_config(OpenSoraAutoencoder.load_config(self.folder, subfolder="vae"))

    @property
    def temporal_compression(self) -> int:
        return self._sizes.temporal_compression

    @property
    def token_pixels(self) -> int:
        return self._sizes.spatial_compression * int(self.transformer_config.patch_size[1])

    @property
    def feature_dim(self) -> int:
        return int(self.transformer_config.hidden_size)

    @cached_property
    def chunk_latents(self) -> int:  # type: ignore[override]
        return self._sizes.latent_frames(self._chunk)

    @property
    def _chunk(self) -> int:
        """Frames that the VAE compresses at a time."""
        return int(self._sizes.config.micro_frame_size)

    @property
    def _lengths(self) -> str:
        """Which numbers of frames fit, in words."""
        return f"1 + {self.temporal_compression} k up to {self._chunk}, or multiples of {self._chunk}"

    def check_size(self, *, frames: int, height: int, width: int) -> None:
        """Raise InvalidClipError unless frames are 1 + 4 k up to 17, or a multiple of 17, and pixels fill tokens."""
        size = {"frames": frames, "height": height, "width": width}
        pixels = self.token_pixels
        if height % pixels or width % pixels:
            raise self.refuse_size(f"rows and columns must be multiples of {pixels}", **size)
        if not self._fits(frames):
            raise self.refuse_size(f"frames must be {self._lengths}", **size)

    def latent_shape(self, *, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        spatial, t = self._sizes.spatial_compression, self._sizes.latent_frames(frames)
        return int(self._sizes.config.latent_channels), t, height // spatial, width // spatial

    @torch.no_grad()
    def encode_video(self, rgb: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = self.vae.encode(to_pixels(rgb, self.device, self.dtype)).latent_dist.mode()
        return latents.float()

    def decode_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        chunks, rest = divmod(latents.shape[2], self._sizes.latent_frames(self._chunk))
        frames = chunks * self._chunk + (1 + self.temporal_compression * (rest - 1) if rest else 0)
        pixels: torch.Tensor = self.vae.decode(latents.to(self.device, self.dtype), num_frames=frames).sample
        return pixels.float()

    @torch.no_grad()
    def decode_video(self, latents: torch.Tensor) -> torch.Tensor:
        return to_rgb(self.decode_pixels(latents))

    @torch.no_grad()
    def encode_condition(self, prompts: list[str], rgb: torch.Tensor | None, *, frames: int) -> Condition:
        text, mask = self._encode_text(prompts)
        if rgb is None:
            return Condition(text, mask)
        given = rgb.shape[1]
        if given > frames or not self._fits(given):
            raise InvalidClipError(f"{given} frames cannot be given of {frames}: {self._lengths} can")
        return Condition(text, mask, frames=self.encode_video(rgb))

    def unconditional(self, condition: Condition, negative: str = "") -> Condition:
        """No prompt is an embedding of its own, as many tokens of it as the prompt has."""
        if negative:
            text, mask = self._encode_text([negative] * len(condition.text))
            return Condition(text, mask, frames=condition.frames)
        text = self.transformer.y_embedder.y_embedding.to(condition.text).expand_as(condition.text)
        return Condition(text, condition.text_mask, frames=condition.frames)

    def place_given(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        return place_first(latents, condition.frames)

    def mixture(self, noise_level: torch.Tensor) -> Mixture:
        return Mixture(1 - noise_level, noise_level)

    def add_noise(
        self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor, condition: Condition
    ) -> torch.Tensor:
        level = per_clip(noise_level, latents)
        return self.place_given((1 - level) * latents + level * noise, condition)

    def target(self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return latents - noise

    def to_clean(self, noisy: torch.Tensor, output: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return noisy + per_clip(noise_level, noisy) * output

    def loss_mask(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        mask = torch.ones(1, 1, latents.shape[2], 1, 1, device=latents.device)
        mask[:, :, : 0 if condition.frames is None else condition.frames.shape[2]] = 0
        return mask

    def predict(
        self, noisy: torch.Tensor, noise_level: torch.Tensor, condition: Condition, *, features: bool = False
    ) -> Prediction:
        B, channels, t, h, w = noisy.shape
        frame_is_noisy = self.loss_mask(noisy, condition).view(1, t).to(self.device)
        fps = told_fps(float(self.index.get("fps", FPS)), t)
        inputs = {
            "hidden_states": noisy.to(self.device, self.dtype),
            "timestep": TIMESTEPS * noise_level.to(self.device).view(B, 1) * frame_is_noisy,
            "encoder_hidden_states": condition.text.to(self.device, self.dtype),
            "encoder_attention_mask": None if condition.text_mask is None else condition.text_mask.to(self.device),
            "fps": torch.full((B,), fps, device=self.device),
            "height": h * self._sizes.spatial_compression,
            "width": w * self._sizes.spatial_compression,
            "return_dict": False,
        }
        transformer = self.transformer
        if not features:
            return Prediction(transformer(**inputs)[0][:, :channels])
        numbers = {"time": transformer.t_embedder, "fps": transformer.fps_embedder}
        with taps(transformer.temporal_blocks, numbers) as tapped:
            output = transformer(**inputs)[0][:, :channels]
        patch_h, patch_w = self.transformer_config.patch_size[1:]
        grid = (h // patch_h, w // patch_w)
        time = (tapped.modules["time"] + tapped.modules["fps"]).float()[:, :, None, None].expand(-1, -1, *grid, -1)
        shift, scale = transformer.final_layer.scale_shift_table.to(time)
        layers = [layer.unflatten(2, grid).float() for layer in tapped.layers(len(transformer.temporal_blocks))]
        return Prediction(output, tuple(layers), shift=time + shift, scale=time + scale)

    def stepper(
        self, steps: int, *, frames: int, height: int, width: int, generators: list[torch.Generator]
    ) -> "_OpenSoraStepper":
        scheduler = copy.deepcopy(self.scheduler)
        scheduler.set_timesteps(steps, height=height, width=width, num_frames=frames, device=self.device)
        return _OpenSoraStepper(scheduler)

    def _fits(self, frames: int) -> bool:
        """Whether the first latent frame of every chunk stands for one frame, and all others for as many as any."""
        if frames <= self._chunk:
            return (frames - 1) % self.temporal_compression == 0
        return frames % self._chunk == 0

    def _encode_text(self, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (B, L, text width) and where they count (B, L)."""
        length = int(self.transformer_config.model_max_length)
        text, mask = encode_prompts(*self._text_encoder, prompts, length, self.device)
        return text.float(), mask


class _OpenSoraStepper:
    """Euler steps through the timesteps of the scheduler for a size."""

    def __init__(self, scheduler: OpenSoraScheduler) -> None:
        self.scheduler = scheduler
        self.levels = [float(timestep) / TIMESTEPS for timestep in scheduler.timesteps]
        self.next_levels = [*self.levels[1:], 0.0]

    def step(self, output: torch.Tensor, index: int, latents: torch.Tensor) -> torch.Tensor:
        stepped: torch.Tensor = self.scheduler.step(
            output, self.scheduler.timesteps[index], latents, return_dict=False
        )[0]
        return stepped
