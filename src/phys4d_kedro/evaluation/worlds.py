"""Generated 4D worlds against the simulator's: how far objects' trajectories are from the true ones; docs/reward.md.

Letters: T frames, H rows, W columns, N followed pixels, M material points.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.evaluation.metrics import REQUIRED, TrackReference
from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.geometry.chamfer import chamfer_4d, chamfer_per_frame
from phys4d_kedro.geometry.lifting import lift, moving_instances

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObjectReference:
    """One object that moves: what is followed, and where it truly goes.

    `tracks`: pixels (N, 2) of it in the first frame, and its material points (T', M, 3) that are visible there, over
    the frames T' in which the object is. `depth` (N,): true depth of the pixels. `limit`: metres that a distance
    counts at most, the way the object goes at most plus its size: a point that is lost costs no more, however far off.
    `still`: 4D Chamfer distance in metres of the object if it stayed where it is. `size`: mean distance of its points
    from their middle, metres.
    """

    tracks: TrackReference
    depth: torch.Tensor
    limit: float
    still: float
    size: float


@dataclass(frozen=True)
class WorldReference:
    """A simulated clip, prepared to judge clips generated from its first frame.

    `rgb` (T, H, W, 3) the true video; `intrinsics` (3, 3) and `world_from_camera` (T, 4, 4) the true camera; `scale`
    metres of 4D Chamfer distance that count as 1.
    """

    clip_id: str
    rgb: NDArray[np.uint8]
    intrinsics: torch.Tensor
    world_from_camera: torch.Tensor
    objects: tuple[ObjectReference, ...]

    @property
    def scale(self) -> float:
        """The distance of the world in which nothing moves, or the objects' mean size where that is more.

        So 1 is no better than standing still. Motion that is small beside its object cannot be told from the spacing of
        the points, and must not be blown up to a signal.
        """
        return float(max(np.mean([o.still for o in self.objects]), np.mean([o.size for o in self.objects])))


@dataclass(frozen=True)
class WorldScore:
    """Means over the objects, in metres, and the scale of the scene."""

    chamfer_4d: float
    chamfer_per_frame: float
    scale: float


def prepare_references(clips: Sequence[Clip], config: WorldConfig) -> list[WorldReference | None]:
    """References of simulated clips; None where no moving object is visible, which is logged with their number.

    Raises:
        MissingAnnotationError: a clip lacks an exact annotation.
    """
    references = [prepare_reference(clip, config) for clip in clips]
    skipped = [clip.clip_id for clip, reference in zip(clips, references, strict=True) if reference is None]
    if skipped:
        logger.info("%d of %d clips show no moving object and judge nothing: %s", len(skipped), len(clips), skipped)
    return references


def prepare_reference(clip: Clip, config: WorldConfig) -> WorldReference | None:
    """The reference of one simulated clip; see `prepare_references`."""
    clip.require(*REQUIRED)
    arrays = clip.arrays()
    camera = torch.from_numpy(arrays["intrinsics"]), torch.from_numpy(arrays["world_from_camera"])
    moving = moving_instances(clip, threshold=config.moving_threshold)
    objects = [_object_reference(clip, int(instance), camera, config) for instance in moving]
    found = tuple(reference for reference in objects if reference is not None)
    return WorldReference(clip.clip_id, clip.rgb, *camera, found) if found else None


def world_distance(generated: Clip, reference: WorldReference, *, align: str) -> WorldScore:
    """Chamfer distances between a generated clip, lifted with its depth and motion and the true camera, and the truth.

    Each object is compared with itself: its pixels of the first frame, which is given, are followed. A prediction has
    to answer for every pixel; its own validity is not asked.

    Args:
        align: see `WorldConfig.align`.

    Raises:
        MissingAnnotationError: the clip has no depth or motion.
        InvalidClipError: it has another size than the truth, or its depth is infinite where a point is followed.
    """
    generated.require("depth", "motion")
    _check_size(generated, reference)
    camera = reference.intrinsics, reference.world_from_camera
    distances, per_frame = [], []
    for tracked in reference.objects:
        points = _follow(generated, tracked.tracks.start, len(tracked.tracks.points), camera)
        if align == "first_frame":
            points = _align(points, tracked.depth, camera[1])
        if not torch.isfinite(points).all():
            raise InvalidClipError(f"clip '{generated.clip_id}': depth is infinite where an object is followed to")
        distances.append(float(chamfer_4d(points, tracked.tracks.points, limit=tracked.limit)))
        frames = chamfer_per_frame(points, tracked.tracks.points, limit=tracked.limit)
        per_frame.append(float(frames.mean()))
    return WorldScore(float(np.mean(distances)), float(np.mean(per_frame)), reference.scale)


def with_given_frame(generated: Clip, reference: WorldReference) -> Clip:
    """The clip that starts with the true first frame, as the model was given it, in place of what its VAE left of it.

    Raises:
        InvalidClipError: it has another size than the truth.
    """
    _check_size(generated, reference)
    return generated.with_(rgb=np.concatenate([reference.rgb[:1], generated.rgb[1:]]))


def _check_size(generated: Clip, reference: WorldReference) -> None:
    if generated.rgb.shape != reference.rgb.shape:
        raise InvalidClipError(
            f"clip '{generated.clip_id}' is {generated.rgb.shape}, its truth '{reference.clip_id}' "
            f"{reference.rgb.shape}; generate as many frames of the same size"
        )


def _object_reference(
    clip: Clip, instance: int, camera: tuple[torch.Tensor, torch.Tensor], config: WorldConfig
) -> ObjectReference | None:
    """None if the object cannot be seen in the first frame and the one after it."""
    arrays = clip.arrays()
    mask = (arrays["segmentation"] == instance) & np.isfinite(arrays["depth"])
    pixels = mask.sum((1, 2))
    hidden = np.flatnonzero(pixels < config.visible_share * pixels[0])
    frames = int(hidden[0]) if len(hidden) else clip.frames
    chosen = (arrays["track_instance"] == instance) & arrays["track_visible"][0]
    if pixels[0] < config.fewest_pixels or frames < 2 or not chosen.any():
        return None
    row, column = np.nonzero(mask[0])
    if len(row) > config.tracks:
        kept = np.linspace(0, len(row) - 1, config.tracks).round().astype(np.int64)
        row, column = row[kept], column[kept]
    start = torch.from_numpy(np.stack([column, row], -1).astype(np.float32) + 0.5)
    truth = torch.from_numpy(arrays["tracks"][:frames, chosen])
    size = float((truth[0] - truth[0].mean(0)).norm(dim=-1).mean())
    still = _follow(clip, start, 1, camera).expand(frames, -1, -1)
    way = (truth - truth[0]).norm(dim=-1).mean(1).max()
    return ObjectReference(
        tracks=TrackReference(start, truth),
        depth=torch.from_numpy(arrays["depth"][0][row, column]),
        limit=float(way) + size,
        still=float(chamfer_4d(still, truth)),
        size=size,
    )


def _follow(clip: Clip, start: torch.Tensor, frames: int, camera: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """World points (T', N, 3) of pixels (N, 2) of the first frame, all motion trusted."""
    arrays = clip.arrays()
    return lift(
        torch.from_numpy(arrays["depth"][:frames]),
        torch.from_numpy(arrays["motion"][: frames - 1]),
        torch.ones(frames - 1, *clip.size, dtype=torch.bool),
        intrinsics=camera[0],
        world_from_camera=camera[1][:frames],
        start=start,
    ).points


def _align(points: torch.Tensor, depth: torch.Tensor, world_from_camera: torch.Tensor) -> torch.Tensor:
    """World points (T', N, 3), each moved along its ray by the factor that gives it its true depth (N,) in frame 0."""
    pose = world_from_camera[: len(points)].to(points)
    centre = pose[:, None, :3, 3]
    seen = ((points[0] - centre[0]) * pose[0, :3, 2]).sum(-1)
    return centre + (depth / seen)[:, None] * (points - centre)
