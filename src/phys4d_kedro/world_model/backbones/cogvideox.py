"""The CogVideoX family (2B, 5B, 5B-I2V): v-prediction on the latents of AutoencoderKLCogVideoX.

x_k = sqrt(a_k) x_0 + sqrt(1 - a_k) n for noise n and the scheduler's cumulative products a_k, k = 0..999; the
transformer predicts v = sqrt(a_k) n - sqrt(1 - a_k) x_0 (Salimans and Ho, 2022, appendix D) and is told k. Noise level
s is timestep k = round(1000 s) - 1; s = 0 is the clean clip, a = 1, of which the transformer is told k = 0. At s = 1
nothing is left of the clip, as the family's schedules end at a = 0. The first frame, in the image-to-video models, is
given as its latents beside the noisy ones, zeros beside the frames after it.
"""

import copy
import json
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.world_model.backbones.base import Condition, Mixture, Prediction
from phys4d_kedro.world_model.backbones.pretrained import TIMESTEPS, PretrainedBackbone, per_clip, to_pixels, to_rgb
from phys4d_kedro.world_model.backbones.taps import taps
from phys4d_kedro.world_model.config import LoadingConfig


class CogVideoXBackbone(PretrainedBackbone):
    """A CogVideoX model in a diffusers folder. See `Backbone` for the contract of each method.

    Raises:
        CheckpointError: as every family; or the model takes another video (control, inpainting), is of the 1.5 series,
            or does not predict v.
    """

    family: ClassVar[str] = "CogVideoX"
    pipelines: ClassVar[tuple[str, ...]] = ("CogVideoXPipeline", "CogVideoXImageToVideoPipeline")
    lora_targets: ClassVar[list[str]] = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]

    def __init__(self, source: str | Path, loading: LoadingConfig | None = None) -> None:
        super().__init__(source, loading)
        transformer = _read_config(self.folder / "transformer" / "config.json")
        if transformer.get("patch_size_t") is not None or transformer.get("ofs_embed_dim") is not None:
            raise CheckpointError(
                f"{self.folder} holds a CogVideoX 1.5 model, whose tokens span several latent frames (patch_size_t, "
                f"ofs_embed_dim in transformer/config.json): not supported; take CogVideoX-2b, -5b or -5b-I2V"
            )
        predicts = _read_config(self.folder / "scheduler" / "scheduler_config.json").get("prediction_type")
        if predicts != "v_prediction":
            raise CheckpointError(
                f"prediction_type in {self.folder}/scheduler/scheduler_config.json is {predicts}: CogVideoX models are "
                f"trained with v_prediction"
            )

    @cached_property
    def vae(self) -> Any:
        """AutoencoderKLCogVideoX."""
        from diffusers import AutoencoderKLCogVideoX

        return self.load_vae(AutoencoderKLCogVideoX)

    @cached_property
    def transformer(self) -> Any:
        """CogVideoXTransformer3DModel."""
        from diffusers import CogVideoXTransformer3DModel

        return self.load_transformer(CogVideoXTransformer3DModel)

    @cached_property
    def transformer_config(self) -> Any:
        """The transformer's configuration, which is read without its weights."""
        from diffusers import CogVideoXTransformer3DModel

        return self.read_config("transformer", CogVideoXTransformer3DModel)

    @cached_property
    def _conditioner(self) -> Any:
        """The stock pipeline with nothing but its text encoder, so that prompts are embedded exactly as it does."""
        from diffusers import CogVideoXPipeline
        from transformers import AutoTokenizer, T5EncoderModel

        return CogVideoXPipeline(
            tokenizer=AutoTokenizer.from_pretrained(self.folder, subfolder="tokenizer"),
            text_encoder=self.load_part("text_encoder", T5EncoderModel),
            vae=None,
            transformer=None,
            scheduler=None,
        )

    @cached_property
    def _alphas(self) -> torch.Tensor:
        """Cumulative products (1001,) by 1000 x noise level: 1, then those of the scheduler."""
        return torch.cat([torch.ones(1), self.scheduler.alphas_cumprod]).to(self.device, torch.float32)

    @property
    def takes_first_frame(self) -> bool:
        config = self.transformer_config
        return bool(config.in_channels > config.out_channels)

    @property
    def temporal_compression(self) -> int:
        return int(self.vae.config.temporal_compression_ratio)

    @property
    def token_pixels(self) -> int:
        return self._spatial_compression * int(self.transformer_config.patch_size)

    @property
    def feature_dim(self) -> int:
        config = self.transformer_config
        return int(config.num_attention_heads * config.attention_head_dim)

    @property
    def _spatial_compression(self) -> int:
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    def check_size(self, *, frames: int, height: int, width: int) -> None:
        size = {"frames": frames, "height": height, "width": width}
        config, pixels = self.transformer_config, self.token_pixels
        if height % pixels or width % pixels:
            raise self.refuse_size(f"rows and columns must be multiples of {pixels}", **size)
        # The VAE decodes latent frames by twos after the first, and gives 4 frames too many of an even number.
        step = 2 * self.temporal_compression
        if frames % step != 1:
            raise self.refuse_size(f"frames must be 1 + {step} k", **size)
        longest = int(config.sample_frames)
        if not config.use_rotary_positional_embeddings and frames > longest:
            raise self.refuse_size(f"it takes at most {longest} frames", **size)
        if config.use_learned_positional_embeddings:
            spatial = self._spatial_compression
            rows, columns = int(config.sample_height) * spatial, int(config.sample_width) * spatial
            if (frames, height, width) != (longest, rows, columns):
                raise self.refuse_size(
                    f"its position embeddings are learned, for {longest} frames of {rows}x{columns} pixels", **size
                )

    def latent_shape(self, *, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        spatial = self._spatial_compression
        return int(self.vae.config.latent_channels), self._latent_frames(frames), height // spatial, width // spatial

    @torch.no_grad()
    def encode_video(self, rgb: torch.Tensor) -> torch.Tensor:
        return self._encode(rgb) * float(self.vae.config.scaling_factor)

    def decode_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        scaled = latents.to(self.device, self.dtype) / self.vae.config.scaling_factor
        pixels: torch.Tensor = self.vae.decode(scaled).sample
        return pixels.float()

    @torch.no_grad()
    def decode_video(self, latents: torch.Tensor) -> torch.Tensor:
        return to_rgb(self.decode_pixels(latents))

    @torch.no_grad()
    def encode_condition(self, prompts: list[str], rgb: torch.Tensor | None, *, frames: int) -> Condition:
        text = self._encode_text(prompts)
        given = 0 if rgb is None else rgb.shape[1]
        if rgb is not None and not self.takes_first_frame:
            raise InvalidClipError(f"{self.folder.name} is a text-to-video model: it takes no first frame")
        if rgb is None and not self.takes_first_frame:
            return Condition(text)
        if rgb is None or given != 1:
            raise InvalidClipError(f"{self.folder.name} is given exactly the first frame, not {given} frames")
        config = self.vae.config
        # 5B-I2V was trained on first frames whose latents were divided by the factor, where videos' are multiplied.
        factor = 1 / config.scaling_factor if config.invert_scale_latents else config.scaling_factor
        first = self._encode(rgb) * factor
        after = first.new_zeros(*first.shape[:2], self._latent_frames(frames) - 1, *first.shape[3:])
        return Condition(text, frames=torch.cat([first, after], 2))

    def unconditional(self, condition: Condition, negative: str = "") -> Condition:
        return Condition(self._encode_text([negative]).expand_as(condition.text), frames=condition.frames)

    def place_given(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        return latents

    def mixture(self, noise_level: torch.Tensor) -> Mixture:
        alphas = self._alphas[_steps(noise_level.to(self.device))]
        return Mixture(alphas.sqrt(), (1 - alphas).sqrt())

    def add_noise(
        self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor, condition: Condition
    ) -> torch.Tensor:
        signal, spread = self._mixture(noise_level, latents)
        return signal * latents + spread * noise

    def target(self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        signal, spread = self._mixture(noise_level, latents)
        return signal * noise - spread * latents

    def to_clean(self, noisy: torch.Tensor, output: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        signal, spread = self._mixture(noise_level, noisy)
        return signal * noisy - spread * output

    def loss_mask(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        return torch.ones(1, 1, latents.shape[2], 1, 1, device=latents.device)

    def predict(
        self, noisy: torch.Tensor, noise_level: torch.Tensor, condition: Condition, *, features: bool = False
    ) -> Prediction:
        transformer, patch = self.transformer, int(self.transformer_config.patch_size)
        grid = (noisy.shape[2], noisy.shape[3] // patch, noisy.shape[4] // patch)
        if condition.frames is not None:
            noisy = torch.cat([noisy, condition.frames.to(noisy)], 1)
        inputs = {
            "hidden_states": noisy.to(self.device, self.dtype).transpose(1, 2),
            "timestep": (_steps(noise_level.to(self.device)) - 1).clamp_min(0),
            "encoder_hidden_states": condition.text.to(self.device, self.dtype),
            "image_rotary_emb": self._rotary(*grid),
            "return_dict": False,
        }
        if not features:
            return Prediction(_frames_second(transformer(**inputs)[0]))
        ends = {"last": transformer.norm_final, "modulation": transformer.norm_out.linear}
        with taps(transformer.transformer_blocks, ends) as tapped:
            output = _frames_second(transformer(**inputs)[0])
        blocks = [video for video, _text in tapped.layers(len(transformer.transformer_blocks))]
        # A norm of its own ends the blocks; what comes out of it goes into the last one, inside `norm_out`.
        layers = [*blocks[:-1], tapped.modules["last"]]
        shift, scale = tapped.modules["modulation"].float()[:, None, None, None].expand(-1, *grid, -1).chunk(2, -1)
        return Prediction(output, tuple(layer.unflatten(1, grid).float() for layer in layers), shift, scale)

    def stepper(
        self, steps: int, *, frames: int, height: int, width: int, generators: list[torch.Generator]
    ) -> "_CogVideoXStepper":
        return _CogVideoXStepper(copy.deepcopy(self.scheduler), steps, self.device, generators)

    def _latent_frames(self, frames: int) -> int:
        return (frames - 1) // self.temporal_compression + 1

    def _mixture(self, noise_level: torch.Tensor, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """sqrt(a) and sqrt(1 - a) at levels (B,), shaped to go with the latents."""
        signal, spread = self.mixture(noise_level)
        return per_clip(signal, latents), per_clip(spread, latents)

    def _encode(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, T, H, W, 3) uint8 -> unscaled latents, float32."""
        latents: torch.Tensor = self.vae.encode(to_pixels(rgb, self.device, self.dtype)).latent_dist.mode()
        return latents.float()

    def _encode_text(self, prompts: list[str]) -> torch.Tensor:
        embeddings: torch.Tensor = self._conditioner.encode_prompt(
            prompts,
            do_classifier_free_guidance=False,
            max_sequence_length=int(self.transformer_config.max_text_seq_length),
            device=self.device,
            dtype=self.dtype,
        )[0]
        return embeddings.float()

    def _rotary(self, t: int, h: int, w: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Rotary embeddings of tokens, their rows and columns scaled to the size that the model was trained on."""
        config = self.transformer_config
        if not config.use_rotary_positional_embeddings:
            return None
        from diffusers.models.embeddings import get_3d_rotary_pos_embed
        from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid

        crop = get_resize_crop_region_for_grid(
            (h, w), config.sample_width // config.patch_size, config.sample_height // config.patch_size
        )
        embeddings: tuple[torch.Tensor, torch.Tensor] = get_3d_rotary_pos_embed(
            config.attention_head_dim, crops_coords=crop, grid_size=(h, w), temporal_size=t, device=self.device
        )
        return embeddings


class _CogVideoXStepper:
    """DDIM or stochastic DPM-Solver++, as the family's two schedulers do it."""

    def __init__(self, scheduler: Any, steps: int, device: torch.device, generators: list[torch.Generator]) -> None:
        from diffusers import CogVideoXDPMScheduler

        scheduler.set_timesteps(steps, device=device)
        self.scheduler = scheduler
        self.timesteps = [int(k) for k in scheduler.timesteps]
        self.levels = [(k + 1) / TIMESTEPS for k in self.timesteps]
        # Both schedulers go down by a constant stride, which does not meet every timestep of theirs.
        stride = TIMESTEPS // steps
        last = 0 if scheduler.config.set_alpha_to_one else 1
        self.next_levels = [max(k + 1 - stride, last) / TIMESTEPS for k in self.timesteps]
        self._generators = generators
        self._is_multistep = isinstance(scheduler, CogVideoXDPMScheduler)
        self._last_clean: torch.Tensor | None = None

    def step(self, output: torch.Tensor, index: int, latents: torch.Tensor) -> torch.Tensor:
        stepped: torch.Tensor
        if not self._is_multistep:
            stepped = self.scheduler.step(output, self.timesteps[index], latents, return_dict=False)[0]
            return stepped
        # Frames come before channels, so that a seed's noise is the stock pipeline's.
        stepped, self._last_clean = self.scheduler.step(
            output.transpose(1, 2),
            self._last_clean,
            self.timesteps[index],
            self.timesteps[index - 1] if index else None,
            latents.transpose(1, 2),
            generator=self._generators,
            return_dict=False,
        )
        return stepped.transpose(1, 2)


def _steps(noise_level: torch.Tensor) -> torch.Tensor:
    """1000 x noise level as an integer; rounded, as a level that came from a timestep need not be exact."""
    return (TIMESTEPS * noise_level).round().long()


def _frames_second(output: torch.Tensor) -> torch.Tensor:
    """(B, t, C, h, w), the transformer's layout -> (B, C, t, h, w) float32."""
    return output.transpose(1, 2).float()


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is missing or damaged ({type(error).__name__})") from error
