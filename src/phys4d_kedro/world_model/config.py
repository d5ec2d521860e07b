"""Parameters of backbones and heads."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class LoadingConfig(BaseModel):
    """How a backbone is loaded: precision, devices, and what saves memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Of all weights; bf16 is what 5B models are for."
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.")
    device_map: str | None = Field(
        None, description="auto or balanced spreads the transformer over several GPUs; null keeps it on one."
    )
    offload: Literal["none", "model", "group"] = Field(
        "none",
        description="model: each part is on the device only while it is used; group: the transformer's layers, too.",
    )
    tile_vae: bool = Field(False, description="Encode and decode in overlapping tiles: less memory for large frames.")
    slice_vae: bool = Field(False, description="Encode and decode one clip of a batch at a time.")
    gradient_checkpointing: bool = Field(
        False, description="Compute activations again in the backward pass: less memory, a third more time."
    )


class SamplingConfig(BaseModel):
    """How clips are sampled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(ge=1, description="Denoising steps.")
    guidance: float = Field(ge=0, description="Classifier-free guidance; 1 is none, and takes half of the time.")
    negative_prompt: str = Field("", description="What guidance leads away from; empty: no prompt.")
    batch_size: int = Field(ge=1, description="Clips sampled at once.")


class ImageRequest(BaseModel):
    """A clip that is to be generated from an image file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(description="File of the first frame; cropped and scaled to the size of clips.")
    prompt: str = Field(description="What happens.")
    field_of_view: float = Field(50.0, gt=0, lt=180, description="Of the camera, vertical, in degrees.")


class GenerationConfig(BaseModel):
    """The `generation` pipeline: from first frames and prompts to 4D clips."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: tuple[ImageRequest, ...] = Field((), description="Images of your own, with prompts.")
    clips: int = Field(ge=0, description="Held-out clips to generate from, every scene in turn.")
    height: int = Field(ge=16, description="Rows of what is generated; held-out clips have their own.")
    width: int = Field(ge=16, description="Columns.")
    frames: int = Field(ge=1, description="Frames of a clip.")
    fps: float = Field(gt=0, description="Frames a second.")
    samples: int = Field(ge=1, description="Clips generated of each, from different noise.")
    sampling: SamplingConfig
    noise_level: float = Field(ge=0, le=1, description="At which the heads read what was generated.")
    seed: int = Field(ge=0, description="Number of the first sample; it decides the noise.")

    @model_validator(mode="after")
    def _check_something(self) -> "GenerationConfig":
        if not self.requests and not self.clips:
            raise ValueError("nothing to generate: give requests, or clips above 0")
        return self


class NanoWanConfig(BaseModel):
    """Sizes of the nano Wan backbone, made of the classes of the real one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["wan"] = Field("wan", description="Which family's classes.")
    latent_channels: int = Field(ge=1, description="Channels of the VAE's latents.")
    vae_base_dim: int = Field(ge=4, description="Width of the VAE's encoder at full resolution.")
    vae_decoder_base_dim: int = Field(ge=4, description="Width of the VAE's decoder at full resolution.")
    layers: int = Field(ge=1, description="Transformer blocks.")
    heads: int = Field(ge=1, description="Attention heads of a block.")
    head_dim: int = Field(ge=8, description="Width of an attention head; heads x head_dim is the feature width D.")
    ffn_dim: int = Field(ge=8, description="Hidden width of a block's feed-forward layer.")
    text_dim: int = Field(ge=8, description="Width of the text encoder.")
    prompt_tokens: int = Field(ge=4, description="Prompts are cut or padded to this many tokens.")

    @model_validator(mode="after")
    def _check_rope(self) -> "NanoWanConfig":
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even for rotary embedding, not {self.head_dim}")
        return self


class NanoCogVideoXConfig(BaseModel):
    """Sizes of the nano CogVideoX backbone, made of the classes of the real one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["cogvideox"] = Field("cogvideox", description="Which family's classes.")
    latent_channels: int = Field(ge=1, description="Channels of the VAE's latents.")
    vae_channels: int = Field(ge=4, multiple_of=4, description="Width of the VAE at full resolution; twice it below.")
    layers: int = Field(ge=1, description="Transformer blocks.")
    heads: int = Field(ge=1, description="Attention heads of a block.")
    head_dim: int = Field(
        ge=16,
        multiple_of=16,
        description="Width of an attention head, shared by time, rows and columns; heads x head_dim is D.",
    )
    text_dim: int = Field(ge=8, description="Width of the text encoder.")
    prompt_tokens: int = Field(ge=4, description="Prompts are cut or padded to this many tokens.")


class NanoOpenSoraConfig(BaseModel):
    """Sizes of the nano Open-Sora backbone, made of the classes of the real one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["opensora"] = Field("opensora", description="Which family's classes.")
    latent_channels: int = Field(ge=1, description="Channels of the VAE's latents.")
    vae_channels: int = Field(ge=4, multiple_of=4, description="Width of both VAEs' first levels; twice it below.")
    layers: int = Field(ge=1, description="Pairs of a spatial and a temporal transformer block.")
    heads: int = Field(ge=1, description="Attention heads of a block.")
    head_dim: int = Field(
        ge=8, multiple_of=4, description="Width of an attention head; heads x head_dim is the feature width D."
    )
    text_dim: int = Field(ge=8, description="Width of the text encoder.")
    prompt_tokens: int = Field(ge=4, description="Prompts are cut or padded to this many tokens.")
    fps: float = Field(gt=0, description="Frame rate of clips in Hz, which the transformer is told.")


class LoraSettings(BaseModel):
    """A low-rank adapter of the transformer: W x becomes W x + (alpha / rank) B A x (Hu et al., 2021)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(ge=1, description="Rows of A and columns of B.")
    alpha: int = Field(ge=1, description="Scale of the adapter, over rank; with alpha = rank it is 1.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Of what goes into A, in training.")
    targets: tuple[str, ...] | None = Field(
        None, min_length=1, description="Ends of the names of the linear layers that it adapts; null: the family's."
    )
    init: Literal["kaiming", "gaussian"] = Field(
        "kaiming", description="Of A: uniform, as a linear layer's, or normal of deviation 1 / rank. B starts at zero."
    )
