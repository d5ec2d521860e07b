"""The Wan family (2.1, 2.2): flow matching on the latents of AutoencoderKLWan.

Flow matching: x_s = (1 - s) x_0 + s n for noise n and level s in [0, 1]; the transformer predicts the velocity
dx/ds = n - x_0 and is told s as a timestep 1000 s. First frames are given in one of two ways. Wan 2.2 TI2V
(`expand_timesteps` in model_index.json): their latents stand clean in the place of noise and every token has a timestep
of its own, theirs 0. Wan 2.1 I2V (a transformer with more input than output channels): latents of the frames, grey
after them, and a mask of which are given, beside the noisy latents; and CLIP embeddings of the first one.
"""

import copy
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.world_model.backbones.base import Condition, Mixture, Prediction
from phys4d_kedro.world_model.backbones.pretrained import TIMESTEPS, PretrainedBackbone, per_clip, to_pixels, to_rgb
from phys4d_kedro.world_model.backbones.taps import taps
from phys4d_kedro.world_model.config import LoadingConfig

_PROMPT_TOKENS = 512  # as the family was trained


class WanBackbone(PretrainedBackbone):
    """A Wan model in a diffusers folder. See `Backbone` for the contract of each method.

    Raises:
        CheckpointError: as every family; or the model is one of two transformers (A14B).
    """

    family: ClassVar[str] = "Wan"
    pipelines: ClassVar[tuple[str, ...]] = ("WanPipeline", "WanImageToVideoPipeline")
    lora_targets: ClassVar[list[str]] = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"]

    def __init__(self, source: str | Path, loading: LoadingConfig | None = None) -> None:
        super().__init__(source, loading)
        if any(self.index.get("transformer_2") or ()):
            raise CheckpointError(
                f"{self.folder} holds a Wan model of two transformers, one for high and one for low noise "
                f"(transformer_2 in model_index.json): not supported; take Wan2.2-TI2V-5B or a Wan 2.1 model"
            )

    @cached_property
    def vae(self) -> Any:
        """AutoencoderKLWan."""
        from diffusers import AutoencoderKLWan

        return self.load_vae(AutoencoderKLWan)

    @cached_property
    def transformer(self) -> Any:
        """WanTransformer3DModel."""
        from diffusers import WanTransformer3DModel

        return self.load_transformer(WanTransformer3DModel)

    @cached_property
    def transformer_config(self) -> Any:
        """The transformer's configuration, which is read without its weights."""
        from diffusers import WanTransformer3DModel

        return self.read_config("transformer", WanTransformer3DModel)

    @cached_property
    def _conditioner(self) -> Any:
        """The stock pipeline with nothing but its text and image encoders, so that both embed exactly as it does."""
        from diffusers import FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline
        from transformers import AutoTokenizer, UMT5EncoderModel

        images = {"image_encoder": None, "image_processor": None}
        if self._sees_first_frame:
            from transformers import CLIPImageProcessor, CLIPVisionModel

            images["image_encoder"] = self.load_part("image_encoder", CLIPVisionModel)
            images["image_processor"] = CLIPImageProcessor.from_pretrained(self.folder, subfolder="image_processor")
        return WanImageToVideoPipeline(
            tokenizer=AutoTokenizer.from_pretrained(self.folder, subfolder="tokenizer"),
            text_encoder=self.load_part("text_encoder", UMT5EncoderModel),
            **images,
            vae=None,
            scheduler=FlowMatchEulerDiscreteScheduler(),
            transformer=None,
        )

    @property
    def expands_timesteps(self) -> bool:
        """Whether given frames stand in the place of noise, as in Wan 2.2 TI2V."""
        return bool(self.index.get("expand_timesteps", False))

    @property
    def _sees_first_frame(self) -> bool:
        """Whether it is shown CLIP embeddings of the first frame, as in Wan 2.1 I2V."""
        return self.transformer_config.image_dim is not None and any(self.index.get("image_encoder") or ())

    @property
    def takes_first_frame(self) -> bool:
        config = self.transformer_config
        return self.expands_timesteps or bool(config.in_channels > config.out_channels)

    @property
    def temporal_compression(self) -> int:
        return int(self.vae.config.scale_factor_temporal)

    @property
    def token_pixels(self) -> int:
        return int(self.vae.config.scale_factor_spatial) * int(self.transformer_config.patch_size[1])

    @property
    def feature_dim(self) -> int:
        config = self.transformer_config
        return int(config.num_attention_heads * config.attention_head_dim)

    def check_size(self, *, frames: int, height: int, width: int) -> None:
        size = {"frames": frames, "height": height, "width": width}
        pixels, longest = self.token_pixels, int(self.transformer_config.rope_max_seq_len)
        if height % pixels or width % pixels:
            raise self.refuse_size(f"rows and columns must be multiples of {pixels}", **size)
        if frames % self.temporal_compression != 1:
            raise self.refuse_size(f"frames must be 1 + {self.temporal_compression} k", **size)
        t = (frames - 1) // self.temporal_compression + 1
        if max(t, height // pixels, width // pixels) > longest:
            most = (longest - 1) * self.temporal_compression + 1
            raise self.refuse_size(f"it takes at most {most} frames of {longest * pixels} pixels an edge", **size)

    def latent_shape(self, *, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        spatial = int(self.vae.config.scale_factor_spatial)
        t = (frames - 1) // self.temporal_compression + 1
        return int(self.vae.config.z_dim), t, height // spatial, width // spatial

    @torch.no_grad()
    def encode_video(self, rgb: torch.Tensor) -> torch.Tensor:
        return self._encode(to_pixels(rgb, self.device, self.dtype))

    def decode_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        mean, std = self._latent_statistics()
        pixels: torch.Tensor = self.vae.decode(latents.to(self.device, self.dtype) * std + mean).sample
        return pixels.float()

    @torch.no_grad()
    def decode_video(self, latents: torch.Tensor) -> torch.Tensor:
        return to_rgb(self.decode_pixels(latents))

    @torch.no_grad()
    def encode_condition(self, prompts: list[str], rgb: torch.Tensor | None, *, frames: int) -> Condition:
        text = self._encode_text(prompts)
        if rgb is None:
            if self.takes_first_frame and not self.expands_timesteps:
                raise InvalidClipError(f"{self.folder.name} is an image-to-video model: it must be given a first frame")
            return Condition(text)
        given = rgb.shape[1]
        if not self.takes_first_frame:
            raise InvalidClipError(f"{self.folder.name} is a text-to-video model: it takes no first frame")
        if given % self.temporal_compression != 1 or given > frames:
            raise InvalidClipError(f"{given} frames cannot be given of {frames}: 1 + {self.temporal_compression} k can")
        pixels = to_pixels(rgb, self.device, self.dtype)
        if self.expands_timesteps:
            return Condition(text, frames=self._encode(pixels))
        grey = pixels.new_zeros(*pixels.shape[:2], frames - given, *pixels.shape[3:])
        latents = self._encode(torch.cat([pixels, grey], 2))
        mask = torch.zeros(latents.shape[0], frames, *latents.shape[3:], device=latents.device)
        mask[:, :given] = 1
        mask = torch.cat([mask[:, :1].expand(-1, self.temporal_compression - 1, -1, -1), mask], 1)
        mask = mask.unflatten(1, (latents.shape[2], self.temporal_compression)).transpose(1, 2)
        return Condition(text, frames=torch.cat([mask, latents], 1), image=self._encode_image(rgb[:, 0]))

    def unconditional(self, condition: Condition, negative: str = "") -> Condition:
        text = self._encode_text([negative]).expand_as(condition.text)
        return Condition(text, frames=condition.frames, image=condition.image)

    def place_given(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        if condition.frames is None or not self.expands_timesteps:
            return latents
        given = condition.frames.to(latents)
        return torch.cat([given, latents[:, :, given.shape[2] :]], 2)

    def mixture(self, noise_level: torch.Tensor) -> Mixture:
        return Mixture(1 - noise_level, noise_level)

    def add_noise(
        self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor, condition: Condition
    ) -> torch.Tensor:
        level = per_clip(noise_level, latents)
        return self.place_given((1 - level) * latents + level * noise, condition)

    def target(self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return noise - latents

    def to_clean(self, noisy: torch.Tensor, output: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return noisy - per_clip(noise_level, noisy) * output

    def loss_mask(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        mask = torch.ones(1, 1, latents.shape[2], 1, 1, device=latents.device)
        if condition.frames is not None and self.expands_timesteps:
            mask[:, :, : condition.frames.shape[2]] = 0
        return mask

    def predict(
        self, noisy: torch.Tensor, noise_level: torch.Tensor, condition: Condition, *, features: bool = False
    ) -> Prediction:
        patch_t, patch_h, patch_w = self.transformer_config.patch_size
        t, h, w = noisy.shape[2] // patch_t, noisy.shape[3] // patch_h, noisy.shape[4] // patch_w
        timestep = TIMESTEPS * noise_level.to(self.device)
        if self.expands_timesteps:
            frame_is_noisy = self.loss_mask(noisy, condition).view(1, -1, 1).to(self.device)
            timestep = (timestep.view(-1, 1, 1) * frame_is_noisy).expand(-1, t, h * w).flatten(1)
        elif condition.frames is not None:
            noisy = torch.cat([noisy, condition.frames.to(noisy)], 1)
        inputs = {
            "hidden_states": noisy.to(self.device, self.dtype),
            "timestep": timestep,
            "encoder_hidden_states": condition.text.to(self.device, self.dtype),
            "encoder_hidden_states_image": None
            if condition.image is None
            else condition.image.to(self.device, self.dtype),
            "return_dict": False,
        }
        if not features:
            return Prediction(self.transformer(**inputs)[0].float())
        blocks = self.transformer.blocks
        with taps(blocks, {"time": self.transformer.condition_embedder}) as tapped:
            output = self.transformer(**inputs)[0].float()
        time = tapped.modules["time"][0].float()
        if time.ndim == 2:  # one timestep a clip
            time = time[:, None].expand(-1, t * h * w, -1)
        time = time.unflatten(1, (t, h, w))
        shift, scale = self.transformer.scale_shift_table[0].float()
        layers = tuple(tokens.unflatten(1, (t, h, w)).float() for tokens in tapped.layers(len(blocks)))
        return Prediction(output, layers, shift=time + shift, scale=time + scale)

    def stepper(
        self, steps: int, *, frames: int, height: int, width: int, generators: list[torch.Generator]
    ) -> "_WanStepper":
        return _WanStepper(copy.deepcopy(self.scheduler), steps, self.device)

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        mean, std = self._latent_statistics()
        return ((self.vae.encode(pixels).latent_dist.mode() - mean) / std).float()

    def _encode_text(self, prompts: list[str]) -> torch.Tensor:
        length = min(int(self._conditioner.tokenizer.model_max_length), _PROMPT_TOKENS)
        embeddings, _ = self._conditioner.encode_prompt(
            prompts,
            do_classifier_free_guidance=False,
            max_sequence_length=length,
            device=self.device,
            dtype=self.dtype,
        )
        return embeddings.float()

    def _encode_image(self, rgb: torch.Tensor) -> torch.Tensor | None:
        if not self._sees_first_frame:
            return None
        from PIL import Image

        images = [Image.fromarray(frame.cpu().numpy()) for frame in rgb]
        return self._conditioner.encode_image(images, self.device).float()

    def _latent_statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.vae.config
        mean = torch.tensor(config.latents_mean, device=self.device, dtype=self.dtype).view(1, -1, 1, 1, 1)
        std = torch.tensor(config.latents_std, device=self.device, dtype=self.dtype).view(1, -1, 1, 1, 1)
        return mean, std


class _WanStepper:
    """Any flow-matching scheduler of diffusers: Euler, UniPC."""

    def __init__(self, scheduler: Any, steps: int, device: torch.device) -> None:
        scheduler.set_timesteps(steps, device=device)
        self.scheduler = scheduler
        self.levels = [float(t) / TIMESTEPS for t in scheduler.timesteps]
        self.next_levels = [*self.levels[1:], 0.0]

    def step(self, output: torch.Tensor, index: int, latents: torch.Tensor) -> torch.Tensor:
        return self.scheduler.step(output, self.scheduler.timesteps[index], latents, return_dict=False)[0]
