"""Parameters of backbones and heads."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class NanoWanConfig(BaseModel):
    """Sizes of the nano Wan backbone, made of the classes of the real one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
