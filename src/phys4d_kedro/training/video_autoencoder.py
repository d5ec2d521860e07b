"""Training of the nano VAE on RGB alone."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm

from phys4d_kedro.training.objectives import kl_divergence, reconstruction_loss
from phys4d_kedro.training.task import Task


class AutoencoderTask(Task):
    """Reconstruction of crops, where things move or stand out drawn more often and weighted higher.

    Args:
        vae: AutoencoderKLWan.
        videos: uint8 (T, H, W, 3), one a clip.
        crop: edge in pixels of the square crops.
        saliency_weight: how much more a pixel that changes over time counts than one that does not.
        kl_weight: of the KL term, which only keeps latents from drifting.
    """

    def __init__(
        self,
        vae: torch.nn.Module,
        videos: Sequence[torch.Tensor],
        *,
        crop: int,
        saliency_weight: float,
        kl_weight: float,
    ) -> None:
        self.modules = {"vae": vae}
        self.vae: Any = vae
        self.videos = videos
        self.crop = crop
        self.saliency_weight = saliency_weight
        self.kl_weight = kl_weight

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        crops = [self._crop(self.videos[i], generator) for i in indices]
        device = next(self.vae.parameters()).device
        video = torch.stack([video for video, _ in crops]).to(device)
        weight = torch.stack([weight for _, weight in crops]).to(device)
        posterior = self.vae.encode(video).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
        reconstruction = decode_unclamped(self.vae, posterior.mean + posterior.std * noise)
        pixels = reconstruction_loss(reconstruction, video, weight)
        kl = kl_divergence(posterior.mean, posterior.logvar)
        mse = (reconstruction.detach() - video).square().mean() / 4  # of values in [0, 1]
        return pixels + self.kl_weight * kl, {"psnr": float(-10 * mse.log10()), "kl": float(kl.detach())}

    def _crop(self, rgb: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A crop (3, T, crop, crop) in [-1, 1] around a salient pixel, and its weights (1, T, crop, crop)."""
        video = rgb.permute(3, 0, 1, 2).float() / 127.5 - 1
        change = (video - video.median(1, keepdim=True).values).abs().mean(0, keepdim=True)
        saliency = (change > 0.05).float()
        H, W = rgb.shape[1:3]
        likelihood = saliency.sum((0, 1)).flatten() + 0.05 * saliency.sum() / (H * W) + 1e-3
        centre = int(torch.multinomial(likelihood, 1, generator=generator))
        jitter = torch.randint(-self.crop // 4, self.crop // 4 + 1, (2,), generator=generator).tolist()
        top = min(max(centre // W - self.crop // 2 + jitter[0], 0), H - self.crop)
        left = min(max(centre % W - self.crop // 2 + jitter[1], 0), W - self.crop)
        window = (..., slice(top, top + self.crop), slice(left, left + self.crop))
        weight = 1 + self.saliency_weight * saliency[window]
        return video[window], weight / weight.mean()


def decode_unclamped(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """What AutoencoderKLWan.decode returns, before it clamps to [-1, 1] and so cuts the gradient."""
    vae.clear_cache()
    hidden = vae.post_quant_conv(latents)
    chunks = []
    for frame in range(hidden.shape[2]):
        vae._conv_idx = [0]
        chunks.append(
            vae.decoder(
                hidden[:, :, frame : frame + 1],
                feat_cache=vae._feat_map,
                feat_idx=vae._conv_idx,
                first_chunk=frame == 0,
            )
        )
    vae.clear_cache()
    return torch.cat(chunks, 2)


@torch.no_grad()
def calibrate_posterior(vae: Any, videos: Sequence[torch.Tensor], posterior_std: float = 0.05) -> None:
    """Scale quant_conv so that latents have unit variance and the posterior is narrow, in place.

    At initialisation the latents' deviation is about a fifth of the posterior's, and the signal drowns.
    """
    means = [vae.encode(_pixels(video)).latent_dist.mean for video in videos]
    values = torch.cat([mean.transpose(0, 1).flatten(1) for mean in means], 1)
    channels = vae.config.z_dim
    convolution = vae.quant_conv
    scale = 1 / values.std(1).clamp_min(1e-3)
    shift = values.mean(1)
    convolution.weight[:channels] *= scale.view(-1, 1, 1, 1, 1)
    convolution.bias[:channels] = (convolution.bias[:channels] - shift) * scale
    convolution.weight[channels:] *= 0.1
    convolution.bias[channels:] = 2 * torch.log(torch.tensor(posterior_std))


@torch.no_grad()
def with_latent_statistics(vae: Any, videos: Sequence[torch.Tensor]) -> Any:
    """A copy whose configuration carries the latents' mean and deviation per channel, frames after the first alone.

    The first latent frame, an image on its own, has statistics of its own; it is a condition and never generated.
    """
    values = []
    for video in tqdm(videos, desc="Measuring latents", unit="clip"):
        latents = vae.encode(_pixels(video)).latent_dist.mode()
        values.append(latents[:, :, min(1, latents.shape[2] - 1) :].transpose(0, 1).flatten(1))
    stacked = torch.cat(values, 1)
    copied = copy.deepcopy(vae)
    copied.register_to_config(latents_mean=stacked.mean(1).tolist(), latents_std=stacked.std(1).tolist())
    return copied


def _pixels(rgb: torch.Tensor) -> torch.Tensor:
    return rgb.permute(3, 0, 1, 2)[None].float() / 127.5 - 1
