"""The suite on one clip: every metric that what is known of the clip allows.

Letters: T frames, H rows, W columns, K objects.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.evaluation.comparison_scores import self_consistency
from phys4d_kedro.evaluation.metrics import abs_rel, delta_1, end_point_error, median_scale
from phys4d_kedro.evaluation.suite import geometry, motion, plausibility
from phys4d_kedro.evaluation.suite.config import SuiteConfig
from phys4d_kedro.evaluation.suite.horizons import horizon_frames, up_to
from phys4d_kedro.evaluation.suite.objects import (
    FollowedObject,
    LiftingCamera,
    common_frames,
    follow_objects,
    follow_pixels,
    lifting_camera,
    presence,
    spread,
)
from phys4d_kedro.evaluation.suite.truth import SuiteTruth
from phys4d_kedro.evaluation.worlds import world_distance

Instances = NDArray[np.integer[Any]]

# Energy between frames needs two, and a change of it three.
_FEWEST_FRAMES = 3
_SKY = np.float32(1e4)  # metres


@dataclass(frozen=True)
class SuiteScore:
    """A key of SUITE_METRICS and its value; `horizon`: of the clip until this time in seconds, None of all of it."""

    metric: str
    value: float
    horizon: float | None = None


def score_video(
    clip: Clip, backward: torch.Tensor, config: SuiteConfig, *, instances: Instances | None = None
) -> Iterator[SuiteScore]:
    """What can be asked of any clip with depth and motion, and of its objects where those of the first frame are known.

    Args:
        backward: optical flow (T-1, 2, H, W) from frame t+1 to t, by an estimator.
        instances: (H, W), ids of the first frame, 0 being no object; by default the clip's own, if it has any.

    Raises:
        MissingAnnotationError: the clip lacks depth or motion.
    """
    clip = _trusting(clip)
    camera = lifting_camera(clip, config.field_of_view)
    yield from _of_any_clip(clip, backward, camera, config)
    if instances is None and clip.segmentation is not None:
        instances = clip.segmentation[0]
    items = follow_objects(clip, instances, camera, config) if instances is not None else []
    if items:
        yield from _of_objects(items, clip, config)
        frames = common_frames(items, config.world.visible_share)
        if frames >= _FEWEST_FRAMES:
            paths = np.stack([plausibility.middles(item.points, item.followed)[:frames] for item in items])
            masses = plausibility.relative_masses([plausibility.object_size(item.points[0]) for item in items])
            yield from _of_mechanics(plausibility.mechanics(paths, masses, fps=clip.fps, up=camera.up), camera)


def score_world(clip: Clip, backward: torch.Tensor, truth: SuiteTruth, config: SuiteConfig) -> Iterator[SuiteScore]:
    """Every metric of a world that begins like a simulated clip; lifted with the true camera.

    Args:
        backward: as of `score_video`.

    Raises:
        MissingAnnotationError: the clip lacks depth or motion.
        InvalidClipError: it has another size than the truth, or infinite depth where the truth has none.
    """
    clip = _trusting(clip)
    _check(clip, truth)
    yield from _of_any_clip(clip, backward, truth.camera, config)
    yield from _of_depth(clip, truth, config)
    visible = truth.clip.arrays()["motion_valid"]
    if visible.any():
        yield SuiteScore("end_point_error", _end_point_error(clip, truth.clip, visible))
    items = follow_objects(clip, truth.instances, truth.camera, config)
    if items:
        yield from _of_objects(items, clip, config)
        yield from _of_true_objects(items, truth, config)
        yield from _of_true_mechanics(items, clip, truth)
    if truth.world is not None:
        # A point that is lost to the sky is as far off as a distance counts.
        near = clip.with_(depth=np.minimum(clip.arrays()["depth"], _SKY))
        for frame in horizon_frames(clip.frames, config.horizons):
            value = world_distance(near, up_to(truth.world, frame), align=config.world.align).chamfer_4d
            yield SuiteScore("chamfer_4d", value, frame / clip.fps)
        yield SuiteScore("chamfer_4d", value)  # the last horizon is the whole clip


def _of_any_clip(
    clip: Clip, backward: torch.Tensor, camera: LiftingCamera, config: SuiteConfig
) -> Iterator[SuiteScore]:
    arrays = clip.arrays()
    forward = torch.from_numpy(arrays["motion"][..., :2]).movedim(-1, 1)
    everywhere = torch.from_numpy(arrays["motion_valid"])
    tracks = follow_pixels(clip, spread(np.isfinite(arrays["depth"][0]), config.image_tracks), camera)
    trend = geometry.scale_trend(geometry.static_log_scales(tracks, camera.world_from_camera), clip.fps)
    found = {
        "static_scale_drift": None if trend is None else trend.drift,
        "cycle_error": motion.cycle_error(forward, backward, everywhere),
        "warp_residual": self_consistency(clip),
        "photometric_error": motion.photometric_error(clip.rgb, forward, everywhere),
        "track_jitter": motion.track_jitter(tracks.points.numpy(), tracks.valid.numpy()),
    }
    yield from _known(found)


def _of_depth(clip: Clip, truth: SuiteTruth, config: SuiteConfig) -> Iterator[SuiteScore]:
    """Depth in the scale that makes the median of the first frame, which is given, true: drift from there counts."""
    predicted, true = clip.arrays()["depth"], truth.clip.arrays()["depth"]
    hit = np.isfinite(true)
    if not hit[0].any():
        return
    scaled = median_scale(predicted[0], true[0], hit[0]) * predicted
    for frame in horizon_frames(clip.frames, config.horizons):
        until = hit[: frame + 1]
        error = abs_rel(scaled[: frame + 1][until], true[: frame + 1][until])
        yield SuiteScore("depth_abs_rel", error, frame / clip.fps)
    yield SuiteScore("depth_abs_rel", abs_rel(scaled[hit], true[hit]))
    yield SuiteScore("depth_delta_1", delta_1(scaled[hit], true[hit]))
    trend = geometry.scale_trend(geometry.log_scales(predicted, true, hit), clip.fps)
    found = {"normal_error": geometry.normal_error(predicted, true, truth.clip.arrays()["intrinsics"], hit)}
    if trend is not None:
        found |= {"scale_drift": trend.drift, "scale_flicker": trend.flicker}
    yield from _known(found)


def _of_objects(items: Sequence[FollowedObject], clip: Clip, config: SuiteConfig) -> Iterator[SuiteScore]:
    share = config.world.visible_share
    there = np.stack([presence(item, share) for item in items])
    for frame in horizon_frames(clip.frames, config.horizons):
        yield SuiteScore("permanence", plausibility.permanence(there[:, : frame + 1]), frame / clip.fps)
    found = {
        "permanence": plausibility.permanence(there),
        "volume_drift": plausibility.volume_drift(items, share),
        "interpenetration": plausibility.interpenetration(items),
    }
    yield from _known(found)


def _of_true_objects(items: Sequence[FollowedObject], truth: SuiteTruth, config: SuiteConfig) -> Iterator[SuiteScore]:
    share = config.world.visible_share
    there = np.stack([presence(item, share) for item in items])
    found = {
        "area_error": plausibility.area_error(items, truth.objects, share),
        "count_error": plausibility.count_error(there, truth.there),
    }
    yield from _known(found)


def _of_mechanics(found: plausibility.Mechanics, camera: LiftingCamera) -> Iterator[SuiteScore]:
    yield SuiteScore("energy_gain", plausibility.energy_gain(found.energy))
    yield SuiteScore("momentum_drift", plausibility.momentum_drift(found.momentum, camera.up))


def _of_true_mechanics(items: Sequence[FollowedObject], clip: Clip, truth: SuiteTruth) -> Iterator[SuiteScore]:
    """Of the objects that truly move, while all of them can truly be seen, whatever became of them here."""
    moving = [k for k, item in enumerate(truth.objects) if item.instance in truth.tracks]
    if not moving:
        return
    frames = int(np.logical_and.accumulate(truth.there[moving].all(axis=0)).sum())
    if frames < _FEWEST_FRAMES:
        return
    points = [truth.tracks[truth.objects[k].instance][:frames] for k in moving]
    masses = plausibility.relative_masses([plausibility.object_size(p[0]) for p in points])
    paths = [plausibility.middles(items[k].points, items[k].followed)[:frames] for k in moving]
    true_paths = [plausibility.middles(p, np.ones(p.shape[:2], np.bool_)) for p in points]
    own, exact = (
        plausibility.mechanics(np.stack(path), masses, fps=clip.fps, up=truth.camera.up) for path in (paths, true_paths)
    )
    yield from _of_mechanics(own, truth.camera)
    yield SuiteScore("energy_error", plausibility.energy_error(own.energy, exact.energy))
    yield SuiteScore("momentum_error", plausibility.momentum_error(own.momentum, exact.momentum))


def _known(found: dict[str, float | None]) -> Iterator[SuiteScore]:
    for metric, value in found.items():
        if value is not None:
            yield SuiteScore(metric, value)


def _end_point_error(clip: Clip, truth: Clip, visible: NDArray[np.bool_]) -> float:
    return end_point_error(clip.arrays()["motion"][visible], truth.arrays()["motion"][visible])


def _trusting(clip: Clip) -> Clip:
    """The clip with all of its motion valid: it may not leave out what it finds hard."""
    clip.require("depth", "motion")
    return clip.with_(motion_valid=np.ones(clip.arrays()["motion_valid"].shape, np.bool_))


def _check(clip: Clip, truth: SuiteTruth) -> None:
    if clip.rgb.shape != truth.clip.rgb.shape:
        raise InvalidClipError(
            f"clip '{clip.clip_id}' is {clip.rgb.shape}, its truth '{truth.clip.clip_id}' {truth.clip.rgb.shape}; "
            "generate as many frames of the same size"
        )
    bad = ~np.isfinite(clip.arrays()["depth"]) & np.isfinite(truth.clip.arrays()["depth"])
    if bad.any():
        raise InvalidClipError(
            f"clip '{clip.clip_id}': depth is infinite at {int(bad.sum())} pixels where something is hit, first at "
            f"(t, row, column) = {tuple(int(i) for i in np.argwhere(bad)[0])}"
        )
