"""STDiT3, the transformer of Open-Sora v1.2.

Letters: B clips, T H W latent frames, rows and columns, C hidden width, L prompt tokens. Modules, parameters and
buffers carry the names of the published checkpoint (hpcai-tech/OpenSora-STDiT-v3).
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import nn
from torch.nn import functional

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.world_model.opensora.blocks import FinalLayer, STDiT3Block
from phys4d_kedro.world_model.opensora.embeddings import (
    CaptionEmbedder,
    NumberEmbedder,
    PatchEmbedder,
    RotaryEmbedding,
    embed_positions,
)


class STDiT3(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """The transformer; its defaults are the sizes of the published one.

    Args:
        in_channels: of the latents.
        pred_sigma: whether it puts out as many channels again, a variance that nothing uses.
        patch_size: latent frames, rows and columns of a token; one frame.
        hidden_size: C.
        depth: pairs of a spatial and a temporal block.
        num_heads: of all attentions.
        mlp_ratio: width of the feed-forward layers over C.
        caption_channels: of the prompt embeddings.
        model_max_length: L.
        input_sq_size: edge in pixels of the square videos that positions are made for.

    Raises:
        ConfigurationError: sizes that do not go together.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[list[str]] = ["STDiT3Block"]
    _keep_in_fp32_modules: ClassVar[list[str]] = ["rope"]
    _gradient_checkpointing_func: Callable[..., Any]

    @register_to_config
    def __init__(
        self,
        *,
        in_channels: int = 4,
        pred_sigma: bool = True,
        patch_size: Sequence[int] = (1, 2, 2),
        hidden_size: int = 1152,
        depth: int = 28,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        caption_channels: int = 4096,
        model_max_length: int = 300,
        input_sq_size: int = 512,
    ) -> None:
        super().__init__()
        patch_t, patch_h, patch_w = patch_size
        if patch_t != 1:
            raise ConfigurationError(f"patch_size {list(patch_size)}: tokens of STDiT3 span one latent frame")
        if hidden_size % 4 or hidden_size % (2 * num_heads):
            raise ConfigurationError(
                f"hidden_size {hidden_size} must be a multiple of 4, for positions, and of 2 x num_heads "
                f"({2 * num_heads}), for rotary embedding"
            )
        self.out_channels = 2 * in_channels if pred_sigma else in_channels
        self.x_embedder = PatchEmbedder(in_channels, hidden_size, (patch_t, patch_h, patch_w))
        self.t_embedder = NumberEmbedder(hidden_size)
        self.fps_embedder = NumberEmbedder(hidden_size)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size))
        self.y_embedder = CaptionEmbedder(caption_channels, hidden_size, model_max_length)
        self.rope = RotaryEmbedding(hidden_size // num_heads)
        hidden = int(hidden_size * mlp_ratio)
        self.spatial_blocks, self.temporal_blocks = (
            nn.ModuleList(STDiT3Block(hidden_size, num_heads, hidden, temporal=temporal) for _ in range(depth))
            for temporal in (False, True)
        )
        self.final_layer = FinalLayer(hidden_size, patch_h * patch_w * self.out_channels)
        self.gradient_checkpointing = False
        self._initialise()

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_attention_mask: torch.Tensor | None = None,
        *,
        fps: torch.Tensor,
        height: int,
        width: int,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[torch.Tensor]:
        """Predict the velocity, clean latents minus noise.

        Args:
            hidden_states: noisy latents (B, in_channels, T, H, W).
            timestep: 1000 x noise level, (B,), or of every latent frame (B, T): 0 for one that is given clean. The
                published implementation takes the latter as one timestep and a mask, `x_mask`, of noisy frames.
            encoder_hidden_states: prompt embeddings (B, L, caption_channels).
            encoder_attention_mask: (B, L), where they count.
            fps: frame rate of the videos in Hz, (B,).
            height: rows of the videos in pixels.
            width: columns.
            return_dict: whether the result is in an output class, as everywhere in diffusers, or a tuple.

        Returns:
            `sample` (B, out_channels, T, H, W) float32; its first `in_channels` are the velocity.
        """
        dtype = self.dtype
        patch_h, patch_w = self.config.patch_size[1:]
        rows, columns = -(-hidden_states.shape[3] // patch_h), -(-hidden_states.shape[4] // patch_w)

        time = self.t_embedder(timestep if timestep.ndim > 1 else timestep[:, None], dtype)
        time = time + self.fps_embedder(fps[:, None], dtype)
        time6 = self.t_block(time)
        text = self.y_embedder(encoder_hidden_states.to(dtype))
        text_mask = None if encoder_attention_mask is None else encoder_attention_mask.bool()[:, None, None]
        angles = self.rope(hidden_states.shape[2])

        scale = (height * width) ** 0.5 / self.config.input_sq_size
        tokens = self.x_embedder(self._pad(hidden_states).to(dtype))
        tokens = tokens + embed_positions(rows, columns, self.config.hidden_size, scale, tokens.device).to(dtype)
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            tokens = self._run(spatial, tokens, text, text_mask, time6, None)
            tokens = self._run(temporal, tokens, text, text_mask, time6, angles)
        patches = self.final_layer(tokens, time).view(*tokens.shape[:2], rows, columns, patch_h, patch_w, -1)
        output = patches.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)
        output = output[..., : hidden_states.shape[3], : hidden_states.shape[4]].float()
        return Transformer2DModelOutput(sample=output) if return_dict else (output,)

    def _run(self, block: nn.Module, *inputs: Any) -> Any:
        """A block's output; where gradients are checkpointed, its insides are computed again going backward."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return self._gradient_checkpointing_func(block, *inputs)
        return block(*inputs)

    def _pad(self, latents: torch.Tensor) -> torch.Tensor:
        """Zeros below and right of latents whose rows or columns fill no whole tokens."""
        patch_h, patch_w = self.config.patch_size[1:]
        return functional.pad(latents, (0, -latents.shape[4] % patch_w, 0, -latents.shape[3] % patch_h))

    def _initialise(self) -> None:
        """As published; at first neither the frame rate nor the temporal blocks change anything."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.fps_embedder.mlp.get_parameter("2.weight"))
        for name, weight in self.temporal_blocks.named_parameters():
            if name.endswith(("attn.proj.weight", "mlp.fc2.weight")):  # of both attentions
                nn.init.zeros_(weight)
