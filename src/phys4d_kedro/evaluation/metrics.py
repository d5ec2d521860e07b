"""How well a predicted clip agrees with an exact one; docs/metrics.md says what each number means.

Letters: T frames, H rows, W columns, N M points.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.geometry.chamfer import chamfer_4d
from phys4d_kedro.geometry.flow import warp_residual
from phys4d_kedro.geometry.lifting import lift, moving_instances

REQUIRED = (
    "depth",
    "motion",
    "motion_valid",
    "segmentation",
    "intrinsics",
    "world_from_camera",
    "tracks",
    "track_instance",
    "track_visible",
)

# Tracks are compared up to the last frame that this share of the points followed is still visible in.
_SURVIVING_SHARE = 0.5

Bools = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Score:
    """One number of one clip: `region` is image or objects, `metric` a key of `statistics.METRICS`."""

    region: str
    metric: str
    value: float


@dataclass(frozen=True)
class TrackReference:
    """Points to compare tracks with: pixels (N, 2) of frame 0 to follow, their true company (T', M, 3) in the world.

    T' frames, of which every start pixel's point is truly visible in each: no predictor is judged on hidden points.
    """

    start: torch.Tensor
    points: torch.Tensor


@dataclass(frozen=True)
class Reference:
    """An exact clip, prepared to judge predictions of it: the pixels (T, H, W) of each region, and its tracks."""

    clip: Clip
    regions: dict[str, Bools]
    tracks: dict[str, TrackReference]


def make_reference(clip: Clip, *, moving_threshold: float, tracks: int) -> Reference:
    """Prepare an exact clip. A region or track set that the clip has nothing of is left out.

    Args:
        moving_threshold: metres; see `moving_instances`.
        tracks: at most this many pixels are followed in each region.

    Raises:
        MissingAnnotationError: the clip lacks an array of REQUIRED.
    """
    clip.require(*REQUIRED)
    arrays = clip.arrays()
    moving = np.isin(arrays["segmentation"], moving_instances(clip, threshold=moving_threshold))
    hit = np.isfinite(arrays["depth"])
    regions = {"image": hit, "objects": hit & moving}
    references = {
        "image": _image_tracks(clip, hit[0], tracks),
        "objects": _object_tracks(clip, regions["objects"][0], moving_threshold, tracks),
    }
    return Reference(
        clip=clip,
        regions={name: pixels for name, pixels in regions.items() if pixels.any()},
        tracks={name: reference for name, reference in references.items() if reference is not None},
    )


def score_clip(reference: Reference, predicted: Clip) -> Iterator[Score]:
    """Every metric in every region. A region without a pixel or track to judge by gives no score.

    Raises:
        MissingAnnotationError: the prediction lacks depth or motion.
        InvalidClipError: predicted depth is infinite where something is hit.
    """
    predicted.require("depth", "motion")
    truth, guess = reference.clip.arrays(), predicted.arrays()
    _check_finite(predicted, reference.regions)
    scale = median_scale(guess["depth"], truth["depth"], reference.regions.get("image"))
    residual, judged = _warp_residual(guess, truth["motion_valid"])
    for region, pixels in reference.regions.items():
        depths = guess["depth"][pixels], truth["depth"][pixels]
        yield Score(region, "abs_rel_raw", abs_rel(*depths))
        yield Score(region, "delta_1_raw", delta_1(*depths))
        yield Score(region, "abs_rel", abs_rel(scale * depths[0], depths[1]))
        yield Score(region, "delta_1", delta_1(scale * depths[0], depths[1]))
        visible = pixels[:-1] & truth["motion_valid"]
        if visible.any():
            yield Score(region, "epe", end_point_error(guess["motion"][visible], truth["motion"][visible]))
        if (visible & judged).any():
            yield Score(region, "warp_residual", float(residual[visible & judged].mean(dtype=np.float64)))
    for region, tracks in reference.tracks.items():
        yield Score(region, "chamfer_4d", track_distance(predicted, reference.clip, tracks))


def abs_rel(predicted: Floats, true: Floats) -> float:
    """Mean of |d' - d| / d over depths (N,)."""
    return float((np.abs(predicted - true) / true).mean(dtype=np.float64))


def delta_1(predicted: Floats, true: Floats) -> float:
    """Share of depths (N,) with max(d' / d, d / d') < 1.25."""
    return float((np.maximum(predicted / true, true / predicted) < 1.25).mean())


def median_scale(predicted: Floats, true: Floats, pixels: Bools | None) -> float:
    """The factor that brings the median of predicted depth to that of the true one, over `pixels` of the clip."""
    if pixels is None:
        return 1.0
    return float(np.median(true[pixels]) / np.median(predicted[pixels]))


def end_point_error(predicted: Floats, true: Floats) -> float:
    """Mean length, in pixels, of the difference of motions (N, 3) in the image (dz does not count)."""
    return float(np.linalg.norm(predicted[:, :2] - true[:, :2], axis=-1).mean(dtype=np.float64))


def track_distance(predicted: Clip, truth: Clip, tracks: TrackReference) -> float:
    """4D Chamfer distance in metres of tracks lifted from predicted depth and motion, with the true camera.

    The prediction has to answer for every point in every frame: its own validity is not asked.
    """
    lifted = _lift(predicted, truth, tracks.start, frames=len(tracks.points), trusted=True)
    return float(chamfer_4d(lifted.points, tracks.points))


def _warp_residual(predicted: dict[str, NDArray[Any]], visible: Bools) -> tuple[Floats, Bools]:
    """Residual in log depth (T-1, H, W) between predicted depth and motion, and where it is defined."""
    depth = torch.from_numpy(predicted["depth"])
    motion = torch.from_numpy(predicted["motion"]).movedim(-1, -3)
    residual, mask = warp_residual(depth[:-1], depth[1:], motion, torch.from_numpy(visible))
    return residual.numpy(), mask.numpy()


def _lift(depth_and_motion: Clip, camera: Clip, start: torch.Tensor, *, frames: int, trusted: bool) -> Any:
    """Tracks of start pixels (N, 2), or of a mask (H, W); motion counts as valid everywhere where it is `trusted`."""
    arrays, views = depth_and_motion.arrays(), camera.arrays()
    valid = torch.from_numpy(arrays["motion_valid"][: frames - 1])
    return lift(
        torch.from_numpy(arrays["depth"][:frames]),
        torch.from_numpy(arrays["motion"][: frames - 1]),
        torch.ones_like(valid) if trusted else valid,
        intrinsics=torch.from_numpy(views["intrinsics"]),
        world_from_camera=torch.from_numpy(views["world_from_camera"][:frames]),
        start=start,
    )


def _image_tracks(clip: Clip, hit: Bools, count: int) -> TrackReference | None:
    """Pixels of the whole first frame, followed through the exact annotations."""
    exact = _lift(clip, clip, _spread(hit, count), frames=clip.frames, trusted=False)
    frames, kept = _survivors(exact.valid)
    if frames < 2:
        return None
    return TrackReference(exact.pixels[0, kept], exact.points[:frames, kept])


def _object_tracks(clip: Clip, start: Bools, threshold: float, count: int) -> TrackReference | None:
    """Pixels on moving objects, and the simulator's own points there that stay visible as long as these do."""
    exact = _lift(clip, clip, _spread(start, count), frames=clip.frames, trusted=False)
    frames, kept = _survivors(exact.valid)
    if frames < 2:
        return None
    arrays = clip.arrays()
    chosen = np.isin(arrays["track_instance"], moving_instances(clip, threshold=threshold))
    chosen &= arrays["track_visible"][:frames].all(0)
    if not chosen.any():
        return None
    return TrackReference(exact.pixels[0, kept], torch.from_numpy(arrays["tracks"][:frames, chosen]))


def _spread(pixels: Bools, count: int) -> torch.Tensor:
    """A mask (H, W) of at most `count` of the pixels, evenly spread in reading order."""
    chosen = np.flatnonzero(pixels)
    if len(chosen) > count:
        chosen = chosen[np.linspace(0, len(chosen) - 1, count).round().astype(np.int64)]
    mask = np.zeros(pixels.size, np.bool_)
    mask[chosen] = True
    return torch.from_numpy(mask.reshape(pixels.shape))


def _survivors(valid: torch.Tensor) -> tuple[int, torch.Tensor]:
    """The frames T' in which enough of the points (T, N) are still followed, and the points that last so long."""
    alive = valid.float().sum(1)
    frames = int((alive >= max(1.0, _SURVIVING_SHARE * float(alive[0]))).sum())
    return frames, valid[frames - 1] if frames else valid.new_zeros(valid.shape[1])


def _check_finite(predicted: Clip, regions: dict[str, Bools]) -> None:
    assert predicted.depth is not None
    bad = ~np.isfinite(predicted.depth) & regions.get("image", False)
    if bad.any():
        raise InvalidClipError(
            f"clip '{predicted.clip_id}': predicted depth is infinite at {int(bad.sum())} pixels where something is "
            f"hit, first at (t, row, column) = {tuple(int(i) for i in np.argwhere(bad)[0])}"
        )
