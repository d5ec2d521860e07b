"""What every video diffusion backbone offers, so that nothing outside its own file asks which family it is.

Letters: B clips, C latent channels, t latent frames, h w latent rows and columns, T H W pixel frames, rows and columns,
h' w' rows and columns of tokens, D feature width, L prompt tokens.

The noise level of a clip is a number in [0, 1], 0 for the clean clip and 1 for noise alone; each family maps it to its
own timesteps.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import torch

LAYERS = 4  # how many depths of the transformer `Prediction.layers` shows


@dataclass(frozen=True)
class Condition:
    """What a batch of videos is generated from, as one family's transformer takes it.

    `text` (B, L, text width): prompt embeddings. `text_mask` (B, L) bool: where they count; None: everywhere.
    `frames`: the frames that are given, None where text is all: (B, C, k, h, w) latents of the first k latent frames
    where the family puts clean latents in the place of noise, or (B, C', t, h, w), channels to put beside the noisy
    ones, where it does that. `image` (B, N, width): embeddings of the first frame for cross-attention, in the models
    that have it.
    """

    text: torch.Tensor
    text_mask: torch.Tensor | None = None
    frames: torch.Tensor | None = None
    image: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> "Condition":
        """The same on another device."""
        return Condition(**{name: value.to(device) for name, value in self.tensors().items()})

    def tensors(self) -> dict[str, torch.Tensor]:
        """The fields that are there."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    def rows(self, indices: list[int]) -> "Condition":
        """Those of some of the videos, in this order; the inverse of `stack`."""
        return Condition(**{name: value[indices] for name, value in self.tensors().items()})

    @staticmethod
    def stack(parts: "list[Condition]") -> "Condition":
        """Several conditions of one kind as one batch."""
        return Condition(**{name: torch.cat([part.tensors()[name] for part in parts]) for name in parts[0].tensors()})


@dataclass(frozen=True)
class Prediction:
    """One pass of the transformer.

    `output` (B, C, t, h, w): the prediction in the family's own parametrisation (see `target`). The rest is there
    where features were asked for: `layers`, hidden tokens after each quarter of the blocks, (B, t, h', w', D) each;
    `shift` and `scale` (B, t, h', w', D), by which the transformer itself modulates the last of them, normed, before
    its output projection: x (1 + scale) + shift. They carry the noise level.
    """

    output: torch.Tensor
    layers: tuple[torch.Tensor, ...] = ()
    shift: torch.Tensor | None = None
    scale: torch.Tensor | None = None

    @property
    def features(self) -> torch.Tensor:
        """The hidden tokens right before the last norm and the output projection: the last of the layers."""
        return self.layers[-1]


class Mixture(NamedTuple):
    """What latents x at a noise level are made of: x = signal x_0 + spread n; both (B,)."""

    signal: torch.Tensor
    spread: torch.Tensor


class Stepper(Protocol):
    """A sampler's way through the noise levels: `levels` falls, one a step; `step` takes the latents to the next.

    `next_levels`: where each step arrives, at last at 0 or 0.001; in some families not quite where the next one starts.
    """

    levels: list[float]
    next_levels: list[float]

    def step(self, output: torch.Tensor, index: int, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, C, t, h, w) at `next_levels[index]`, from those at it and the transformer's output."""
        ...


class Backbone(Protocol):
    """A pretrained latent video diffusion transformer with its VAE and text encoder, each loaded when first used."""

    family: ClassVar[str]
    folder: Path
    device: torch.device
    dtype: torch.dtype

    @property
    def temporal_compression(self) -> int:
        """Pixel frames a latent frame stands for; the first latent frame stands for one."""
        ...

    @property
    def chunk_latents(self) -> int | None:
        """Latent frames of a chunk, where the VAE compresses long clips in chunks: the first of each stands for one
        pixel frame. None: all of a clip is one.
        """
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
    def takes_first_frame(self) -> bool:
        """Whether the first frame can be given (image-to-video), beside the prompt."""
        ...

    @property
    def transformer(self) -> Any:
        """The denoising transformer, a diffusers ModelMixin."""
        ...

    @property
    def transformer_config(self) -> Any:
        """Its configuration, which is read without its weights."""
        ...

    @property
    def lora_targets(self) -> list[str]:
        """Names of the linear layers, as peft matches them, that LoRA adapts by default."""
        ...

    def fingerprint(self, *components: str) -> str:
        """SHA-256 over the files of the named components ('vae', 'text_encoder', 'tokenizer', 'transformer')."""
        ...

    def check_size(self, *, frames: int, height: int, width: int) -> None:
        """Raise InvalidClipError unless videos of this size fit the model; names what would."""
        ...

    def latent_shape(self, *, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(C, t, h, w) of the latents of a video of this size."""
        ...

    def encode_video(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, T, H, W, 3) uint8 -> normalised latents (B, C, t, h, w) float32, without sampling noise."""
        ...

    def decode_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        """Normalised latents (B, C, t, h, w) -> pixels (B, 3, T, H, W) float32, about [-1, 1]; differentiable."""
        ...

    def decode_video(self, latents: torch.Tensor) -> torch.Tensor:
        """Normalised latents (B, C, t, h, w) -> (B, T, H, W, 3) uint8."""
        ...

    def encode_condition(self, prompts: list[str], rgb: torch.Tensor | None, *, frames: int) -> Condition:
        """The condition of B videos of `frames` pixel frames: prompts, and their first frames (B, k, H, W, 3) uint8.

        Raises:
            InvalidClipError: this model takes no first frame, or not k of them.
        """
        ...

    def unconditional(self, condition: Condition, negative: str = "") -> Condition:
        """The same with no prompt, or a negative one, for classifier-free guidance and its training."""
        ...

    def place_given(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        """The latents with the frames that are given in the place of noise put there; else as they are."""
        ...

    def mixture(self, noise_level: torch.Tensor) -> Mixture:
        """How much of the clip and of noise there is in noised latents at levels (B,)."""
        ...

    def add_noise(
        self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor, condition: Condition
    ) -> torch.Tensor:
        """Latents at `noise_level` (B,); frames that are given in the place of noise stay clean."""
        ...

    def target(self, latents: torch.Tensor, noise: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        """What `output` should be, for the denoising loss."""
        ...

    def to_clean(self, noisy: torch.Tensor, output: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        """The clean latents that `output` means; exact where it is the target."""
        ...

    def loss_mask(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        """(1, 1, t, 1, 1): 1 where a latent frame is noised and so counts in the denoising loss, else 0."""
        ...

    def predict(
        self, noisy: torch.Tensor, noise_level: torch.Tensor, condition: Condition, *, features: bool = False
    ) -> Prediction:
        """Run the transformer on latents at `noise_level` (B,); with `features`, show its insides too."""
        ...

    def stepper(
        self, steps: int, *, frames: int, height: int, width: int, generators: list[torch.Generator]
    ) -> Stepper:
        """The scheduler of the model's folder, for videos of this size; a stochastic one draws from each video's own
        generator."""
        ...
