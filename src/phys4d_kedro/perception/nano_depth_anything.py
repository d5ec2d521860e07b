"""The nano Depth Anything: the real classes at a tiny size, and what it learns from simulated frames.

`build_model` gives a `DepthAnythingForDepthEstimation` of transformers, so that its folder loads as any other depth
model does (`AutoModelForDepthEstimation.from_pretrained`). `NanoDepthTask` is its loss, for `training.loop.fit`.
Letters: B frames, H rows, W columns.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, DataQualityError
from phys4d_kedro.perception.augmentation import augment
from phys4d_kedro.perception.config import NanoDepthConfig, NanoDepthLossConfig

if TYPE_CHECKING:
    from transformers import DepthAnythingForDepthEstimation

# Of ImageNet, as Depth Anything's own image processor takes them.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_GRADIENT_STEPS = (1, 2, 4)
_LEAST_DEPTH = 1e-3


@dataclass(frozen=True)
class DepthFrames:
    """Single frames with exact depth, in memory.

    | field | shape | dtype | meaning |
    |---|---|---|---|
    | rgb | B,H,W,3 | uint8 | sRGB |
    | depth | B,H,W | float32 | z in metres; inf where nothing is hit |
    | objects | B,H,W | bool | on a moving object |
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    objects: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rgb)


def read_frames(store: ClipStore) -> DepthFrames:
    """All frames of a store's clips. Raises MissingAnnotationError where a clip has no exact depth."""
    clips = []
    for clip in store:
        clip.require("depth", "segmentation")
        clips.append(clip)
    if not clips:
        raise DataQualityError(f"'{store.path}' holds no clips to learn depth from")
    return DepthFrames(
        rgb=np.concatenate([clip.rgb for clip in clips]),
        depth=np.concatenate([clip.arrays()["depth"] for clip in clips]),
        objects=np.concatenate([clip.arrays()["segmentation"] > 0 for clip in clips]),
    )


def build_model(config: NanoDepthConfig, seed: int) -> "DepthAnythingForDepthEstimation":
    """A randomly initialised nano Depth Anything with metric output.

    transformers initialises every layer with a standard deviation of 0.02, for pretrained weights to replace: at this
    width the output then hardly depends on the image. Convolutions of neck and head start as PyTorch's own do.

    Raises:
        ConfigurationError: sizes that do not divide.
    """
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    if config.image_size % config.patch_size or config.hidden_size % config.heads:
        raise ConfigurationError(
            f"model: patch_size {config.patch_size} must divide image_size {config.image_size}, and heads "
            f"{config.heads} must divide hidden_size {config.hidden_size}"
        )
    backbone = Dinov2Config(
        image_size=config.image_size,
        patch_size=config.patch_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        layerscale_value=0.1,
        out_indices=[-(-config.layers * quarter // 4) for quarter in (1, 2, 3, 4)],
        reshape_hidden_states=False,
    )
    model_config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=config.patch_size,
        reassemble_hidden_size=config.hidden_size,
        reassemble_factors=[int(f) if f >= 1 else f for f in config.neck_factors],
        neck_hidden_sizes=list(config.neck_sizes),
        fusion_hidden_size=config.fusion_size,
        head_hidden_size=config.head_size,
        depth_estimation_type="metric",
        max_depth=config.max_depth,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DepthAnythingForDepthEstimation(model_config)
        for part in (model.neck, model.head):
            for module in part.modules():
                if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                    module.reset_parameters()
    return model


def save_model(model: "DepthAnythingForDepthEstimation", folder: Path) -> None:
    """Write weights (float16), configuration and image processor, as `from_pretrained` reads them."""
    from transformers import DPTImageProcessorPil

    size = model.config.backbone_config.image_size
    processor = DPTImageProcessorPil(
        size={"height": size, "width": size},
        keep_aspect_ratio=True,
        ensure_multiple_of=model.config.patch_size,
        image_mean=list(_MEAN),
        image_std=list(_STD),
    )
    model.half().save_pretrained(folder)
    model.float()
    processor.save_pretrained(folder)


class NanoDepthTask:
    """Learning depth from single frames; a `training.loop.Task`."""

    def __init__(
        self, model: "DepthAnythingForDepthEstimation", frames: DepthFrames, config: NanoDepthLossConfig
    ) -> None:
        self.modules: dict[str, torch.nn.Module] = {"depth": model}
        self._frames = frames
        self._config = config

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        """See `training.loop.Task.loss`."""
        model: Any = self.modules["depth"]
        rgb = torch.from_numpy(self._frames.rgb[indices]).permute(0, 3, 1, 2).float() / 255
        depth = torch.from_numpy(self._frames.depth[indices])
        objects = torch.from_numpy(self._frames.objects[indices])
        flip = torch.rand(len(rgb), generator=generator) < 0.5
        rgb, depth, objects = (torch.where(_expand(flip, x), x.flip(-1), x) for x in (rgb, depth, objects))
        pixels = normalise(augment(rgb, self._config.augmentation, generator)).to(model.device)
        predicted = model(pixel_values=pixels).predicted_depth
        targets = depth.to(model.device), objects.to(model.device)
        return depth_loss(predicted, *targets, model.config.max_depth, self._config)


def normalise(rgb: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) in [0, 1] as the image processor would give it to the model."""
    return (rgb - rgb.new_tensor(_MEAN)[:, None, None]) / rgb.new_tensor(_STD)[:, None, None]


def depth_loss(
    predicted: torch.Tensor, depth: torch.Tensor, objects: torch.Tensor, max_depth: float, config: NanoDepthLossConfig
) -> tuple[torch.Tensor, dict[str, float]]:
    """L1 + scale-invariant + gradient-matching loss of log depth; (B, H, W) each. All beyond max_depth is at max_depth.

    With e = log predicted - log depth and w = `object_weight` on moving objects, else 1: the weighted mean of |e|; the
    weighted variance of e over each frame (Eigen et al. 2014, eq. 4 with lambda = 1); and |de| between pixels 1, 2 and
    4 apart (after the gradient matching of MiDaS, Ranftl et al. 2020, eq. 11).
    """
    error = predicted.clamp(min=_LEAST_DEPTH).log() - depth.clamp(max=max_depth).log()
    weight = torch.where(objects, config.object_weight, 1.0)
    weight = weight / weight.sum((1, 2), keepdim=True)
    absolute = (weight * error.abs()).sum((1, 2))
    mean = (weight * error).sum((1, 2), keepdim=True)
    variance = (weight * (error - mean).square()).sum((1, 2))
    gradient = torch.stack([_gradient(error, step) for step in _GRADIENT_STEPS]).mean(0)
    loss = absolute + config.scale_invariant_weight * variance + config.gradient_weight * gradient
    figures = {"log_l1": absolute, "scale_invariant": variance, "gradient": gradient}
    return loss.mean(), {key: float(value.detach().mean()) for key, value in figures.items()}


def _gradient(error: torch.Tensor, step: int) -> torch.Tensor:
    """Mean over each frame of the error's change over `step` pixels, along rows and columns: (B,)."""
    along_rows = (error[:, :, step:] - error[:, :, :-step]).abs().mean((1, 2))
    along_columns = (error[:, step:] - error[:, :-step]).abs().mean((1, 2))
    return (along_rows + along_columns) / 2


def _expand(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return mask.view(-1, *[1] * (like.dim() - 1))
