"""Monocular depth behind one protocol: any depth model of transformers, from a folder or the hub."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from phys4d_kedro.errors import CheckpointError, ConfigurationError
from phys4d_kedro.perception.config import DepthConfig
from phys4d_kedro.perception.flow import resolve_device

DepthKind = Literal["metric", "relative_inverse"]

# What the model types of transformers predict; `depth_anything` and `prompt_depth_anything` say it in their config.
_KINDS: dict[str, DepthKind] = {
    "dpt": "relative_inverse",
    "glpn": "metric",
    "zoedepth": "metric",
    "depth_pro": "metric",
}
_FILES = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")


class DepthEstimator(Protocol):
    """Anything that estimates the depth of every pixel of single frames."""

    @property
    def kind(self) -> DepthKind:
        """`metric`: z depth in metres; `relative_inverse`: a / z + b with unknown a > 0 and b, one pair a frame."""
        ...

    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Depth, or relative inverse depth, (T, H, W) of the frames rgb (T, H, W, 3), sRGB."""
        ...


class TransformersDepth:
    """A `*ForDepthEstimation` model of transformers with its image processor.

    Frames are prepared by the model's own image processor (its Pillow variant where torchvision is absent) and the
    output is resized to the frames' size, bicubically, as the processors' own post-processing does.
    """

    def __init__(self, model: Any, processor: Any, *, kind: DepthKind, batch_size: int, device: torch.device) -> None:
        self._model = model.to(device).eval()
        self._processor = processor
        self._batch_size = batch_size
        self._device = device
        self._kind = kind

    @property
    def kind(self) -> DepthKind:
        """See `DepthEstimator.kind`."""
        return self._kind

    @torch.inference_mode()
    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `DepthEstimator.predict`."""
        batches = [rgb[i : i + self._batch_size] for i in range(0, len(rgb), self._batch_size)]
        return np.concatenate([self._predict_batch(batch) for batch in batches])

    def _predict_batch(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        size = rgb.shape[1:3]
        inputs = self._processor(images=list(rgb), return_tensors="pt").to(self._device)
        depth = self._model(pixel_values=inputs["pixel_values"]).predicted_depth[:, None].float()
        margin = (0, 0)
        if self._model.config.model_type == "zoedepth" and self._processor.do_pad:
            # ZoeDepth sees the frame within a reflected margin of this width (transformers' ZoeDepthImageProcessor).
            margin = (int((size[0] / 2) ** 0.5 * 3), int((size[1] / 2) ** 0.5 * 3))
        padded = (size[0] + 2 * margin[0], size[1] + 2 * margin[1])
        if depth.shape[-2:] != padded:
            depth = functional.interpolate(depth, size=padded, mode="bicubic", align_corners=False)
        depth = depth[:, 0, margin[0] : margin[0] + size[0], margin[1] : margin[1] + size[1]]
        return cast(NDArray[np.float32], np.ascontiguousarray(depth.cpu().numpy()))


def load_depth_estimator(config: DepthConfig) -> TransformersDepth:
    """The depth model that the configuration names.

    Raises:
        ConfigurationError: neither a folder nor fetchable from the hub, or what it predicts is not known.
        CheckpointError: the folder is not a depth model of transformers, or its weights do not fit.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation

    folder = find_depth_model(config)
    try:
        kind = _kind(AutoConfig.from_pretrained(folder, local_files_only=True), config)
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        with _quiet():
            model, report = AutoModelForDepthEstimation.from_pretrained(
                folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
    except ConfigurationError:
        raise
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise CheckpointError(
            f"depth model '{config.model}' in {folder} cannot be loaded by transformers: {error}"
        ) from error
    if report["missing_keys"] or report["mismatched_keys"]:
        odd = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        raise CheckpointError(
            f"the weights of depth model '{config.model}' in {folder} are not of the model that its config.json "
            f"describes: {len(odd)} tensors are missing or of another shape, the first is {odd[0]}"
        )
    device = resolve_device(config.device)
    return TransformersDepth(model, processor, kind=kind, batch_size=config.batch_size, device=device)


def find_depth_model(config: DepthConfig) -> Path:
    """The folder of the model: as given, or fetched from the hub (its cache, when offline). Raises as above."""
    folder = Path(config.model)
    if not folder.is_dir():
        folder = _fetch(config.model)
    for needed in ("config.json", "preprocessor_config.json"):
        if not (folder / needed).is_file():
            raise CheckpointError(
                f"depth model '{config.model}': {folder / needed} is missing; a folder written by save_pretrained of a "
                "transformers depth model and of its image processor is needed"
            )
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(f"depth model '{config.model}': {folder} holds no weights (*.safetensors)")
    return folder


def hash_model(folder: Path) -> str:
    """SHA-256 over the names and contents of the files that decide what a model folder predicts."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _FILES for path in folder.glob(pattern)):
        digest.update(path.name.encode())
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def inverse_to_depth(inverse: NDArray[np.float32], config: DepthConfig) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Relative inverse depth of a clip, (T, H, W), as depth in metres, by convention.

    Depth is 1 / (gain v + offset). A relative model leaves gain and offset open; they are chosen so that the
    farthest point is `depth_ratio` times as far as the nearest (the 0.1 and 99.9 percentiles of v) and the median
    depth is `median_depth`. The order of depths is the model's; how far and how flat things are is only as right as
    that guess: such depth is no measurement.

    Returns:
        Depth (T, H, W), and the gain and offset used.
    """
    low, high = np.percentile(inverse.astype(np.float64), [0.1, 99.9])
    least = 1 / config.depth_ratio
    slope = (1 - least) / (high - low) if high > low else 0.0
    scale = 1 / (config.median_depth * (slope * (np.median(inverse) - low) + least))
    gain, offset = scale * slope, scale * (least - slope * low)
    depth = 1 / np.maximum(gain * inverse + offset, scale * least)
    return depth.astype(np.float32), {"gain": float(gain), "offset": float(offset)}


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise ConfigurationError(
            f"depth model '{name}' is no folder below {Path.cwd()}, and the hub gave no model of that id{offline}; "
            "give a folder, or a hub id that can be reached or is in the hub's cache already. The hub said: "
            f"{str(error).splitlines()[0]}"
        ) from error


def _kind(model_config: Any, config: DepthConfig) -> DepthKind:
    if config.output != "auto":
        return config.output
    stated = getattr(model_config, "depth_estimation_type", None)
    if stated is not None:
        return "metric" if stated == "metric" else "relative_inverse"
    if model_config.model_type not in _KINDS:
        raise ConfigurationError(
            f"depth model '{config.model}' is of type '{model_config.model_type}', and what that predicts is not "
            "known here; set depth.output to 'metric' or 'relative_inverse' if it is a depth model"
        )
    return _KINDS[model_config.model_type]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar and its report of missing keys, which are an error of ours anyway."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
