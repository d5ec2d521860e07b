"""What can be predicted without a trained head, learnt from the labelled training clips as they stream by."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from tqdm import tqdm

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError, DataQualityError, InvalidClipError
from phys4d_kedro.evaluation.medians import MedianSearch
from phys4d_kedro.evaluation.reading import Reader
from phys4d_kedro.evaluation.ridge import RidgeFit, RidgeHeads
from phys4d_kedro.world_model.labels import read_labels

_FILE = "baselines.safetensors"


@dataclass(frozen=True)
class Baselines:
    """Median depth of all training pixels and of each (H, W), metres, and the ridge regression."""

    constant: float
    pixel: NDArray[np.float32]
    ridge: RidgeHeads

    def save(self, folder: Path) -> None:
        """Write to an existing folder."""
        ridge = {key: value for key, value in vars(self.ridge).items() if isinstance(value, torch.Tensor)}
        tensors = {"constant": torch.tensor(self.constant), "pixel": torch.from_numpy(self.pixel), **ridge}
        sizes = {name: str(getattr(self.ridge, name) or 0) for name in ("temporal", "pixels", "chunk")}
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / _FILE, metadata=sizes)

    @classmethod
    def load(cls, folder: Path) -> "Baselines":
        """Read what `save` wrote. Raises CheckpointError where that is not there."""
        path = folder / _FILE
        if not path.is_file():
            raise CheckpointError(f"there are no baselines in {folder}; kedro run --pipeline=evaluation makes them")
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            sizes = file.metadata()
        constant, pixel = float(tensors.pop("constant")), tensors.pop("pixel").numpy()
        chunk = int(sizes["chunk"]) or None
        ridge = RidgeHeads(**tensors, temporal=int(sizes["temporal"]), pixels=int(sizes["pixels"]), chunk=chunk)
        return cls(constant, pixel, ridge)


def fit_baselines(
    clips: ClipStore,
    reader: Reader,
    *,
    temporal: int,
    pixels: int,
    ridge_penalty: float,
    chunk: int | None = None,
) -> Baselines:
    """Learn all baselines from labelled clips.

    Args:
        reader: of these clips.
        temporal, pixels, chunk: r, P and latent frames of a chunk of the backbone (see `world_model.heads`).
        ridge_penalty: see `NormalEquations.solve`.

    Raises:
        MissingAnnotationError: a clip has no depth or motion.
        InvalidClipError: clips differ in size.
        DataQualityError: no clip has a finite depth.
    """
    constant, pixel = median_depths(clips)
    layout = {"temporal": temporal, "pixels": pixels, "chunk": chunk}
    return Baselines(constant, pixel, fit_ridge(clips, reader, layout, penalty=ridge_penalty))


def median_depths(clips: ClipStore) -> tuple[float, NDArray[np.float32]]:
    """Lower median of the finite depths of all clips, frames and pixels, and of each pixel (H, W), in metres.

    A pixel that is never finite takes the median of all.
    """
    height, width = _common_size(clips)
    overall, each = MedianSearch(1), MedianSearch(height * width)
    with tqdm(total=MedianSearch.PASSES * len(clips), desc="Median depths", unit="clip") as progress:
        for _ in range(MedianSearch.PASSES):
            for clip_id in clips.ids:
                depth = clips.read_arrays(clip_id, ["depth"])["depth"]
                overall.add(depth.reshape(-1, 1))
                each.add(depth.reshape(len(depth), -1))
                progress.update()
            overall.narrow()
            each.narrow()
    constant = float(overall.medians[0])
    if not np.isfinite(constant):
        raise DataQualityError(f"none of the {len(clips)} training clips has a finite depth; see their labels")
    pixel = each.medians.reshape(height, width)
    return constant, np.where(np.isfinite(pixel), pixel, np.float32(constant))


def fit_ridge(clips: ClipStore, reader: Reader, layout: dict[str, Any], *, penalty: float) -> RidgeHeads:
    """Ridge regression of the clips' labels on the features that the heads read at evaluation; for `layout` see
    `RidgeFit`.
    """
    fit: RidgeFit | None = None
    for clip_id in tqdm(clips.ids, desc="Ridge regression", unit="clip"):
        features = reader.read(clips.read(clip_id, keys=["rgb"])).features[0].cpu()
        if fit is None:
            fit = RidgeFit(features.shape[-1], **layout)
        fit.add(features, read_labels(clips, clip_id))
    if fit is None:
        raise DataQualityError("there are no training clips to fit a ridge regression to")
    return fit.solve(penalty)


def _common_size(clips: ClipStore) -> tuple[int, int]:
    sizes = clips.manifest[["height", "width"]]
    odd = (sizes != sizes.iloc[0]).any(axis=1).to_numpy()
    if odd.any():
        k = int(odd.argmax())
        raise InvalidClipError(
            f"clip '{clips.ids[k]}' is {sizes.iloc[k].tolist()} (height, width), other training clips are "
            f"{sizes.iloc[0].tolist()}; make all of one size"
        )
    return int(sizes["height"].iloc[0]), int(sizes["width"].iloc[0])
