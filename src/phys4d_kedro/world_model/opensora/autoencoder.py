"""Open-Sora's video VAE v1.2: an image VAE for every frame, then one that compresses time.

Letters: B clips, C latent channels, T H W pixel frames, rows and columns, t h w those of latents. Modules and buffers
carry the names of the published checkpoint (hpcai-tech/OpenSora-VAE-v1.2). It must be told, to decode, how many frames
there were: 17 and 20 frames both have 5 latent frames.
"""

from collections.abc import Callable, Sequence

import torch
from diffusers import AutoencoderKL, ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import nn

from phys4d_kedro.errors import ConfigurationError, InvalidClipError
from phys4d_kedro.world_model.opensora.temporal_autoencoder import TemporalAutoencoder


class FrameAutoencoder(nn.Module):
    """An image VAE, `module`, that takes the frames of clips one by one, `micro_batch` at once."""

    def __init__(self, module: AutoencoderKL, micro_batch: int) -> None:
        super().__init__()
        self.module = module
        self.micro_batch = micro_batch

    def encode(self, x: torch.Tensor) -> DiagonalGaussianDistribution:
        """Pixels (B, 3, T, H, W) -> the distribution of latents (B, C, T, h, w), not scaled."""
        return DiagonalGaussianDistribution(
            self._each(lambda frames: self.module.encode(frames).latent_dist.parameters, x)
        )

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents (B, C, T, h, w), not scaled -> pixels (B, 3, T, H, W)."""
        return self._each(lambda frames: self.module.decode(frames).sample, z)

    def _each(self, function: Callable[[torch.Tensor], torch.Tensor], clips: torch.Tensor) -> torch.Tensor:
        frames = clips.transpose(1, 2).flatten(0, 1)
        parts = [function(part) for part in frames.split(self.micro_batch)]
        return torch.cat(parts).unflatten(0, (clips.shape[0], -1)).transpose(1, 2)


class VideoPosterior:
    """The distribution of a clip's normalised latents (B, C, t, h, w), drawn from frame by frame, then over time.

    Time is compressed when it is asked for a value: what goes in is itself drawn from the frames' distribution.
    """

    def __init__(self, autoencoder: "OpenSoraAutoencoder", frames: DiagonalGaussianDistribution) -> None:
        self.autoencoder = autoencoder
        self.frames = frames

    def mode(self) -> torch.Tensor:
        """The latents of the most likely frames, without noise; Open-Sora itself always draws the frames' latents."""
        parts = self.autoencoder.compress_time(self.frames.mode())
        return self.autoencoder.normalise(torch.cat([part.mode() for part in parts], 2))

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """Latents with noise of both VAEs, as Open-Sora trains on."""
        parts = self.autoencoder.compress_time(self.frames.sample(generator))
        return self.autoencoder.normalise(torch.cat([part.sample(generator) for part in parts], 2))


class OpenSoraAutoencoder(ModelMixin, ConfigMixin):
    """The video VAE; its defaults are the sizes of the published one.

    Args:
        latent_channels: C, of both VAEs.
        spatial_channels: of the image VAE's levels; each but the last halves rows and columns.
        spatial_layers: residual blocks a level of the image VAE.
        spatial_scaling: by which its latents are multiplied.
        tile_size: edge in pixels of the tiles, where tiling is on.
        temporal_channels, temporal_multipliers, temporal_layers: width of the first level of the temporal VAE, what
            it is multiplied by at each level, and residual blocks a level.
        temporal_downsample: whether time is halved after each level but the last.
        norm_groups: of all group norms.
        micro_batch_size: frames that the image VAE takes at once; saves memory and changes nothing else.
        micro_frame_size: frames of the chunks that time is compressed in, which know nothing of each other.
        latent_shift, latent_scale: mean and deviation of the latents, one a channel; a checkpoint carries its own.

    Raises:
        ConfigurationError: sizes that do not go together.
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        *,
        latent_channels: int = 4,
        spatial_channels: Sequence[int] = (128, 256, 512, 512),
        spatial_layers: int = 2,
        spatial_scaling: float = 0.18215,
        tile_size: int = 512,
        temporal_channels: int = 128,
        temporal_multipliers: Sequence[int] = (1, 2, 2, 4),
        temporal_downsample: Sequence[bool] = (False, True, True),
        temporal_layers: int = 4,
        norm_groups: int = 32,
        micro_batch_size: int = 4,
        micro_frame_size: int = 17,
        latent_shift: Sequence[float] = (-0.10, 0.34, 0.27, 0.98),
        latent_scale: Sequence[float] = (3.85, 2.32, 2.33, 3.06),
    ) -> None:
        super().__init__()
        if not len(latent_shift) == len(latent_scale) == latent_channels:
            raise ConfigurationError(
                f"Open-Sora's VAE of {latent_channels} latent channels needs as many values of latent_shift and "
                f"latent_scale, not {len(latent_shift)} and {len(latent_scale)}"
            )
        levels = len(spatial_channels)
        images = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=tuple(spatial_channels),
            layers_per_block=spatial_layers,
            latent_channels=latent_channels,
            norm_num_groups=norm_groups,
            sample_size=tile_size,
            scaling_factor=spatial_scaling,
        )
        self.spatial_vae = FrameAutoencoder(images, micro_batch_size)
        self.temporal_vae = TemporalAutoencoder(
            channels=latent_channels,
            width=temporal_channels,
            multipliers=temporal_multipliers,
            downsample=temporal_downsample,
            layers=temporal_layers,
            groups=norm_groups,
        )
        self.register_buffer("shift", torch.tensor(latent_shift).view(1, -1, 1, 1, 1))
        self.register_buffer("scale", torch.tensor(latent_scale).view(1, -1, 1, 1, 1))

    @property
    def temporal_compression(self) -> int:
        """Frames that a latent frame of a full chunk stands for."""
        return self.temporal_vae.compression

    @property
    def spatial_compression(self) -> int:
        """Pixels along an edge of a latent."""
        return int(2 ** (len(self.config.spatial_channels) - 1))

    def latent_frames(self, frames: int) -> int:
        """t of a video of T frames."""
        return sum(self.temporal_vae.latent_frames(chunk) for chunk in self._chunks(frames))

    @apply_forward_hook
    def encode(self, x: torch.Tensor) -> AutoencoderKLOutput:
        """Pixels (B, 3, T, H, W) in [-1, 1] -> an output whose `latent_dist` is a `VideoPosterior`.

        Raises:
            InvalidClipError: rows or columns are no multiple of the compression.
        """
        if x.shape[-2] % self.spatial_compression or x.shape[-1] % self.spatial_compression:
            raise InvalidClipError(
                f"frames of {x.shape[-2]}x{x.shape[-1]} pixels do not fit Open-Sora's VAE: rows and columns must be "
                f"multiples of {self.spatial_compression}"
            )
        return AutoencoderKLOutput(latent_dist=VideoPosterior(self, self.spatial_vae.encode(x)))

    @apply_forward_hook
    def decode(self, z: torch.Tensor, num_frames: int) -> DecoderOutput:
        """Normalised latents (B, C, t, h, w) of T = `num_frames` frames -> `sample`, pixels (B, 3, T, H, W).

        Raises:
            InvalidClipError: a video of so many frames has another number of latent frames.
        """
        if z.shape[2] != self.latent_frames(num_frames):
            raise InvalidClipError(
                f"{num_frames} frames have {self.latent_frames(num_frames)} latent frames, not {z.shape[2]}: give the "
                f"num_frames of the video that the latents are of"
            )
        chunks = self._chunks(num_frames)
        parts = (z * self.scale + self.shift).split([self.temporal_vae.latent_frames(chunk) for chunk in chunks], 2)
        frames = [self.temporal_vae.decode(part, chunk) for part, chunk in zip(parts, chunks, strict=True)]
        return DecoderOutput(sample=self.spatial_vae.decode(torch.cat(frames, 2) / self.config.spatial_scaling))

    def compress_time(self, frames: torch.Tensor) -> list[DiagonalGaussianDistribution]:
        """The image VAE's latents (B, C, T, h, w) -> the distribution of each chunk's latents, not normalised."""
        parts = (frames * self.config.spatial_scaling).split(self.config.micro_frame_size, 2)
        return [self.temporal_vae.encode(part) for part in parts]

    def normalise(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, C, t, h, w) of the temporal VAE -> of about zero mean and unit deviation."""
        return (latents - self.shift) / self.scale

    def enable_tiling(self) -> None:
        """Take large frames in overlapping tiles of `tile_size` pixels."""
        self.spatial_vae.module.enable_tiling()

    def enable_slicing(self) -> None:
        """Take frames one at a time."""
        self.spatial_vae.module.enable_slicing()

    def _chunks(self, frames: int) -> list[int]:
        """Lengths of the chunks of T frames; the last may be shorter."""
        size = int(self.config.micro_frame_size)
        full, rest = divmod(frames, size)
        return [size] * full + [rest] * bool(rest)
