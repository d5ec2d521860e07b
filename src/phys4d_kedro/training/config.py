"""Parameters of the training stages, and of the loop that all of them share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from phys4d_kedro.perception.config import NanoDepthConfig, NanoDepthLossConfig
from phys4d_kedro.world_model.config import SamplingConfig
from phys4d_kedro.world_model.nano import NanoConfig


class LoopConfig(BaseModel):
    """How `fit` trains. The same values, data and machine give the same weights, bit for bit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(ge=1, description="Optimiser steps in all.")
    batch_size: int = Field(ge=1, description="Items of a step, in all processes together.")
    micro_batch_size: int | None = Field(
        None,
        ge=1,
        description="Items that go through the model at once; it divides batch_size. Gradients of micro-batches are "
        "averaged, and processes share them out. null: all items of a step at once.",
    )
    learning_rate: float = Field(gt=0, description="Peak learning rate of AdamW.")
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate rises linearly from zero.")
    decay_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of the steps, at the end, over which the learning rate falls to zero.",
    )
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay of AdamW.")
    ema: float = Field(0.0, ge=0, lt=1, description="Decay of the moving average of the weights; 0 turns it off.")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="Of the forward pass; weights, gradients and optimiser stay fp32. bf16 needs hardware for it.",
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are scaled down to at most this norm.")
    checkpoint_every: int = Field(200, ge=1, description="Steps between checkpoints; one is always made at the end.")
    keep_checkpoints: int = Field(2, ge=1, description="How many of the newest checkpoints stay on disk.")
    log_every: int = Field(10, ge=1, description="Steps averaged into one point of the loss curve.")
    validate_every: int | None = Field(
        None,
        ge=1,
        description="Steps between validations; one is made before the first and at the end too. null: never.",
    )
    patience: int | None = Field(
        None, ge=1, description="Validations in a row without a better one after which training ends. null: any number."
    )
    keep: Literal["last", "best"] = Field(
        "last", description="Weights that training leaves: those of the last step, or of the best validation."
    )
    trackers: tuple[Literal["dvclive", "tensorboard", "mlflow"], ...] = Field(
        ("dvclive", "tensorboard"), description="Who gets the loss curve and validations beside the checkpoints."
    )
    seed: int = Field(ge=0, description="Decides data order and noise.")

    @property
    def micro_batches(self) -> int:
        """Of a step."""
        return self.batch_size // (self.micro_batch_size or self.batch_size)

    @model_validator(mode="after")
    def _check(self) -> "LoopConfig":
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise ValueError(f"micro_batch_size ({self.micro_batch_size}) must divide batch_size ({self.batch_size})")
        if self.validate_every is None and (self.patience is not None or self.keep == "best"):
            raise ValueError("patience and keep: best compare validations: set validate_every")
        return self


class AutoencoderTrainingConfig(BaseModel):
    """How the nano VAE is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop: int = Field(ge=16, multiple_of=8, description="Edge in pixels of the square crops it is trained on.")
    saliency_weight: float = Field(ge=0, description="Extra weight of pixels that change over time.")
    kl_weight: float = Field(ge=0, description="Weight of the KL term.")
    loop: LoopConfig


class DenoiserTrainingConfig(BaseModel):
    """How the nano transformer is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise_shift: float = Field(gt=0, description="Noise levels are shift u / (1 + (shift - 1) u) of uniform u.")
    prompt_dropout: float = Field(ge=0, le=1, description="Share of clips trained without their prompt.")
    loop: LoopConfig


class BackboneValidationConfig(BaseModel):
    """How a trained backbone is judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    levels: int = Field(ge=1, description="Noise levels at which the denoising loss of a validation clip is measured.")
    clips: int = Field(ge=2, description="Held-out clips that are generated, every scene in turn.")
    samples: int = Field(ge=1, description="Times that each is generated, from different noise.")
    sampling: SamplingConfig
    bootstrap_resamples: int = Field(ge=1, description="Resamples of the clips behind an interval of a margin.")
    seed: int = Field(ge=0, description="Number of the first sample, and seed of the validation noise.")


class BackboneConfig(BaseModel):
    """The `backbone` pipeline: an appearance-only video model, from nothing or from weights that are there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    initial_weights: str | None = Field(
        description="Folder of a nano backbone to go on from; null starts from random weights of the sizes in `nano`."
    )
    nano: NanoConfig
    autoencoder: AutoencoderTrainingConfig | None = Field(
        description="Training of the VAE; null keeps the VAE of `initial_weights` as it is."
    )
    transformer: DenoiserTrainingConfig
    validation: BackboneValidationConfig
    checkpoint_dir: str = Field(description="Where training checkpoints go; safe to remove once a run is complete.")
    seed: int = Field(ge=0, description="Decides the initial weights.")

    @model_validator(mode="after")
    def _check_autoencoder(self) -> "BackboneConfig":
        if self.initial_weights is None and self.autoencoder is None and self.nano.family == "wan":
            raise ValueError("a backbone from nothing needs its VAE trained: give `autoencoder`, or `initial_weights`")
        if self.autoencoder is not None and self.nano.family != "wan":
            raise ValueError("only the VAE of nano.family wan can be trained; set `autoencoder` to null")
        return self


class ConvHeadConfig(BaseModel):
    """Sizes of a `ConvHead`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: int = Field(ge=1, description="Width of the layer that mixes depths and latent frames.")
    width: int = Field(ge=1, description="Channels of the convolutions.")
    blocks: int = Field(ge=0, description="Residual blocks, each a convolution over space and one over time.")


class DptHeadConfig(BaseModel):
    """Sizes of a `DptHead`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(64, ge=2, description="Channels of all scales.")
    heads: int = Field(4, ge=1, description="Heads of the attention over time; they split width into even parts.")
    cells: Literal[1, 2, 4, 8] = Field(
        2,
        description="Predictions along a token's edge, before convex upsampling to pixels; 8 pixels a cell are usual.",
    )

    @model_validator(mode="after")
    def _check_rotary(self) -> "DptHeadConfig":
        if self.width % (2 * self.heads):
            raise ValueError(f"{self.heads} heads do not split a width of {self.width} into even parts")
        return self


class PretrainConfig(BaseModel):
    """Stage 1: heads on a frozen backbone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repeats: int = Field(
        ge=1, description="How many pairs of heads are trained, on seeds from the loop's on; their spread is reported."
    )
    head: Literal["linear", "conv", "dpt"] = Field(
        description="linear: a projection of the last tokens; conv: a small network on tokens of several depths; dpt: "
        "these at several scales, with attention over time."
    )
    conv_head: ConvHeadConfig = Field(description="Sizes of the heads where they are conv.")
    dpt_head: DptHeadConfig = Field(description="Sizes of the heads where they are dpt.")
    noise_shift: float = Field(
        gt=0, description="Noise levels are shift u / (1 + (shift - 1) u) of uniform u; below 1 prefers low noise."
    )
    depth_weight: float = Field(ge=0, description="Weight of the depth loss.")
    motion_weight: float = Field(ge=0, description="Weight of the motion loss.")
    label_memory_gb: float = Field(ge=0, description="Labels kept in memory, in GB; beyond it they are read again.")
    loop: LoopConfig
    checkpoint_dir: str = Field(description="Where training checkpoints go; safe to remove once a run is complete.")

    @property
    def head_sizes(self) -> dict[str, int]:
        """What the class of `head` takes beside what all heads do."""
        sizes: dict[str, BaseModel] = {"conv": self.conv_head, "dpt": self.dpt_head}
        return sizes[self.head].model_dump() if self.head in sizes else {}


class DepthModelConfig(BaseModel):
    """The `depth_estimator` pipeline: the nano depth model that labels clips by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: NanoDepthConfig
    loss: NanoDepthLossConfig
    loop: LoopConfig
    checkpoint_dir: str = Field(description="Where training checkpoints go; safe to remove once a run is complete.")
