"""Open-Sora's rectified flow: straight ways from noise to clean latents, walked in Euler steps.

x_s = (1 - s) x_0 + s n for clean latents x_0, noise n and s in [0, 1], timestep 1000 s; the transformer predicts
v = x_0 - n, so that latents gain v ds as s falls by ds (Liu et al., 2022, with the sign of Open-Sora).
"""

from dataclasses import dataclass

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput

_BASE_PIXELS = 512 * 512  # videos of so many pixels and one frame keep their timesteps
_CHUNK = 17  # frames that the VAE compresses together ...
_CHUNK_LATENTS = 5  # ... to so many latent frames
_COMPRESSION = 4  # frames of a latent frame


@dataclass
class OpenSoraSchedulerOutput(BaseOutput):
    """`prev_sample`: the latents after a step."""

    prev_sample: torch.Tensor


class OpenSoraScheduler(SchedulerMixin, ConfigMixin):
    """Rectified flow with more steps at high noise the larger a video is.

    Args:
        num_train_timesteps: the timestep of noise alone.
        use_timestep_transform: whether timesteps are moved by the size of the video.
        transform_scale: how far; 1 as published.
    """

    order = 1
    init_noise_sigma = 1.0

    @register_to_config
    def __init__(
        self,
        *,
        num_train_timesteps: int = 1000,
        use_timestep_transform: bool = True,
        transform_scale: float = 1.0,
    ) -> None:
        self.timesteps = torch.empty(0)

    def set_timesteps(
        self,
        num_inference_steps: int,
        *,
        height: int,
        width: int,
        num_frames: int,
        device: torch.device | str | None = None,
    ) -> None:
        """Choose `timesteps`, falling from noise, for videos of this size in pixels and frames."""
        even = 1 - torch.arange(num_inference_steps, device=device) / num_inference_steps
        self.timesteps = self.transform_timesteps(
            self.config.num_train_timesteps * even, height=height, width=width, num_frames=num_frames
        )

    def transform_timesteps(self, timesteps: torch.Tensor, *, height: int, width: int, num_frames: int) -> torch.Tensor:
        """Even timesteps -> those of a video of this size: r s / (r s + (1 - s)), more noise where r is above 1.

        r grows with the root of the pixels and of the latent frames. Published for whole chunks of 17 frames and for
        single images; here all lengths count by their latent frames.
        """
        if not self.config.use_timestep_transform:
            return timesteps
        chunks, rest = divmod(num_frames, _CHUNK)
        latent_frames = chunks * _CHUNK_LATENTS + -(-rest // _COMPRESSION)
        ratio = (height * width / _BASE_PIXELS * latent_frames) ** 0.5 * self.config.transform_scale
        s = timesteps / self.config.num_train_timesteps
        return self.config.num_train_timesteps * (ratio * s / (ratio * s + (1 - s)))

    def step(
        self,
        model_output: torch.Tensor,
        timestep: torch.Tensor | float,
        sample: torch.Tensor,
        *,
        return_dict: bool = True,
    ) -> OpenSoraSchedulerOutput | tuple[torch.Tensor]:
        """From one of `timesteps` to the next, the last to clean latents.

        Args:
            model_output: the velocity, as `sample`.
            timestep: of the sample.
            sample: latents (B, C, t, h, w).
        """
        index = int((self.timesteps - timestep).abs().argmin())
        after = self.timesteps[index + 1] if index + 1 < len(self.timesteps) else 0.0
        previous = sample + model_output * ((self.timesteps[index] - after) / self.config.num_train_timesteps)
        return OpenSoraSchedulerOutput(prev_sample=previous) if return_dict else (previous,)

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Clean latents (B, ...) with noise at timesteps (B,)."""
        s = timesteps.to(original_samples) / self.config.num_train_timesteps
        s = s.view(-1, *(1,) * (original_samples.ndim - 1))
        return (1 - s) * original_samples + s * noise

    def get_velocity(self, sample: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """What the transformer should predict for clean latents and noise, at every timestep."""
        return sample - noise

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)
