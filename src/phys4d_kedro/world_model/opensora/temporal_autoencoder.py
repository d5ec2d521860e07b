"""The temporal half of Open-Sora's VAE v1.2: 3D convolutions that compress time four times and leave space as it is.

After MAGVIT-v2 (Yu et al. 2024) without its codebook. Convolutions look back in time only; the group norms take their
statistics over a whole chunk, though, so that a latent does depend, a little, on the frames after it.

Letters: B clips, C channels, T frames, t latent frames, h w rows and columns of latents. Modules carry the names of the
published checkpoint.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import nn
from torch.nn import functional

from phys4d_kedro.errors import ConfigurationError

_STRIDE = 2  # in time, of a level that is compressed


class CausalConv3d(nn.Module):
    """A convolution of (B, C, T, h, w) whose output at a time sees no later frame: all padding in time is in front."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, time_stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride=(time_stride, 1, 1), bias=bias)
        self.padding = (*(kernel // 2,) * 4, kernel - time_stride, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T, h, w) -> (B, C', T / time_stride, h, w)."""
        return self.conv(functional.pad(x, self.padding))


class ResidualBlock(nn.Module):
    """Norm, SiLU and convolution, twice, beside a skip connection."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs)
        self.conv1 = CausalConv3d(inputs, outputs, 3, bias=False)
        self.norm2 = nn.GroupNorm(groups, outputs)
        self.conv2 = CausalConv3d(outputs, outputs, 3, bias=False)
        self.conv3 = CausalConv3d(inputs, outputs, 1, bias=False) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T, h, w) -> (B, C', T, h, w)."""
        hidden = self.conv1(functional.silu(self.norm1(x)))
        hidden = self.conv2(functional.silu(self.norm2(hidden)))
        return hidden + (x if self.conv3 is None else self.conv3(x))


class _Checkpointed(nn.Module):
    """Runs blocks that, where diffusers' `enable_gradient_checkpointing` says so, are computed again going backward."""

    gradient_checkpointing = False
    _gradient_checkpointing_func: Callable[..., Any]

    def run(self, blocks: nn.Module, x: torch.Tensor) -> torch.Tensor:
        for block in blocks.children():
            again = self.gradient_checkpointing and torch.is_grad_enabled()
            x = self._gradient_checkpointing_func(block, x) if again else block(x)
        return x


class TemporalEncoder(_Checkpointed):
    """(B, C, T, h, w) -> (B, outputs, t, h, w): levels of residual blocks, some followed by a stride of 2 in time."""

    def __init__(
        self, inputs: int, outputs: int, widths: Sequence[int], downsample: Sequence[bool], *, layers: int, groups: int
    ) -> None:
        super().__init__()
        self.conv_in = CausalConv3d(inputs, widths[0], 3, bias=False)
        self.block_res_blocks = nn.ModuleList(
            _level(before, width, layers, groups)
            for before, width in zip([widths[0], *widths[:-1]], widths, strict=True)
        )
        self.conv_blocks = nn.ModuleList(  # numbered by level, so those that change nothing have a place too
            CausalConv3d(width, width, 3, time_stride=_STRIDE) if down else nn.Identity()
            for width, down in zip(widths[:-1], downsample, strict=True)
        )
        self.res_blocks = _level(widths[-1], widths[-1], layers, groups)
        self.norm1 = nn.GroupNorm(groups, widths[-1])
        self.conv2 = CausalConv3d(widths[-1], outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """T must be a multiple of the compression."""
        x = self.conv_in(x)
        for blocks, convolution in zip(self.block_res_blocks, [*self.conv_blocks, nn.Identity()], strict=True):
            x = convolution(self.run(blocks, x))
        x = self.run(self.res_blocks, x)
        return self.conv2(functional.silu(self.norm1(x)))


class TemporalDecoder(_Checkpointed):
    """(B, inputs, t, h, w) -> (B, outputs, T, h, w): the encoder's levels in reverse; channels become frames."""

    def __init__(
        self, inputs: int, outputs: int, widths: Sequence[int], downsample: Sequence[bool], *, layers: int, groups: int
    ) -> None:
        super().__init__()
        self.conv1 = CausalConv3d(inputs, widths[-1], 3)
        self.res_blocks = _level(widths[-1], widths[-1], layers, groups)
        self.block_res_blocks = nn.ModuleList(  # the first is run last
            _level(before, width, layers, groups)
            for before, width in zip([*widths[1:], widths[-1]], widths, strict=True)
        )
        self.conv_blocks = nn.ModuleList(
            CausalConv3d(width, _STRIDE * width, 3) if down else nn.Identity()
            for width, down in zip(widths[1:], downsample, strict=True)
        )
        self.norm1 = nn.GroupNorm(groups, widths[0])
        self.conv_out = CausalConv3d(widths[0], outputs, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """T is t times the compression."""
        x = self.run(self.res_blocks, self.conv1(x))
        levels = zip(self.block_res_blocks, [nn.Identity(), *self.conv_blocks], strict=True)
        for blocks, convolution in reversed(list(levels)):
            x = convolution(self.run(blocks, x))
            if isinstance(convolution, CausalConv3d):
                x = _channels_to_time(x)
        return self.conv_out(functional.silu(self.norm1(x)))


class TemporalAutoencoder(nn.Module):
    """Compresses a chunk of frames in time.

    Args:
        channels: C of the frames, and of the latents.
        width: channels of the first level.
        multipliers: of `width`, one a level.
        downsample: whether time is halved after a level; one for each level but the last.
        layers: residual blocks a level.
        groups: of the group norms.

    Raises:
        ConfigurationError: `downsample` does not go with `multipliers`.
    """

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        multipliers: Sequence[int],
        downsample: Sequence[bool],
        layers: int,
        groups: int,
    ) -> None:
        super().__init__()
        if len(downsample) != len(multipliers) - 1:
            raise ConfigurationError(
                f"temporal_downsample {list(downsample)} must have one entry for each of temporal_multipliers "
                f"{list(multipliers)} but the last"
            )
        self.compression = _STRIDE ** sum(downsample)
        widths = [width * multiplier for multiplier in multipliers]
        blocks = {"layers": layers, "groups": groups}
        self.encoder = TemporalEncoder(channels, 2 * channels, widths, downsample, **blocks)
        self.quant_conv = CausalConv3d(2 * channels, 2 * channels, 1)
        self.post_quant_conv = CausalConv3d(channels, channels, 1)
        self.decoder = TemporalDecoder(channels, channels, widths, downsample, **blocks)

    def latent_frames(self, frames: int) -> int:
        """t of a chunk of T frames."""
        return -(-frames // self.compression)

    def padding(self, frames: int) -> int:
        """How many empty frames go before T frames to make a multiple of the compression."""
        return -frames % self.compression

    def encode(self, x: torch.Tensor) -> DiagonalGaussianDistribution:
        """Frames (B, C, T, h, w) -> the distribution of latents (B, C, t, h, w)."""
        x = functional.pad(x, (0, 0, 0, 0, self.padding(x.shape[2]), 0))
        return DiagonalGaussianDistribution(self.quant_conv(self.encoder(x)))

    def decode(self, z: torch.Tensor, num_frames: int) -> torch.Tensor:
        """Latents (B, C, t, h, w) -> frames (B, C, num_frames, h, w)."""
        return self.decoder(self.post_quant_conv(z))[:, :, self.padding(num_frames) :]


def _level(inputs: int, outputs: int, layers: int, groups: int) -> nn.ModuleList:
    return nn.ModuleList(ResidualBlock(outputs if layer else inputs, outputs, groups) for layer in range(layers))


def _channels_to_time(x: torch.Tensor) -> torch.Tensor:
    """(B, C s, T, h, w) -> (B, C, T s, h, w); neighbouring channels become neighbouring frames."""
    return x.unflatten(1, (-1, _STRIDE)).transpose(2, 3).flatten(2, 3)
