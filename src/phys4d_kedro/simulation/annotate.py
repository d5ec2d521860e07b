"""Exact annotations of a rendered simulation, gathered into a clip and checked against each other."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.geometry.camera import transform, unproject
from phys4d_kedro.geometry.flow import warp_residual
from phys4d_kedro.simulation.bad_draws import BadDrawError
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, visibility
from phys4d_kedro.simulation.rendering.scene import RenderScene, Surface
from phys4d_kedro.simulation.surface_points import follow

# Log depth. On flat surfaces, most of any clip, samples between pixels err by rounding alone (1e-7). Where the nearest
# pixels miss what is thinner than a pixel, none of them has its depth.
_MEDIAN_RESIDUAL = 1e-5
_CURVED_RESIDUAL = 5e-4  # up to here, interpolation on a curved surface that fills the image may explain it
_LARGE_RESIDUAL, _LARGE_SHARE = 0.05, 0.05


def track_points(
    scene: RenderScene, image: RenderOutput, count: int, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Tracks of up to `count` material points that frame 0 sees on moving things: see `Clip`.

    A point is where a pixel's ray hits, carried by the pose of its body, or along the surface it is on. Smoke and flame
    have none.
    """
    T, H, W = image.depth.shape
    solid = np.isin(image.segmentation[0], [body.instance for body in scene.bodies if body.instance])
    rows, columns = np.nonzero(solid & np.isfinite(image.depth[0]))
    chosen = np.sort(rng.choice(len(rows), size=min(count, len(rows)), replace=False))
    rows, columns = rows[chosen], columns[chosen]
    camera = scene.camera
    seen = unproject(torch.from_numpy(image.depth[0]).double(), torch.from_numpy(camera.intrinsics))
    points = transform(seen, torch.from_numpy(camera.world_from_camera[0])).numpy()[rows, columns]
    instances = image.segmentation[0][rows, columns]
    moved = np.empty((T, len(points), 3))
    for instance in np.unique(instances):
        mine = instances == instance
        moved[:, mine] = _carried(scene, int(instance), points[mine])
    return {
        "tracks": moved.astype(np.float32),
        "track_instance": instances,
        "track_visible": visibility(scene, moved, H, W) if len(points) else np.zeros((T, 0), bool),
    }


def _carried(scene: RenderScene, instance: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points (N, 3) of an instance in frame 0 are in every frame (T, N, 3)."""
    # The parts of an instance move as one, so any will do.
    body = next(b for b, body in enumerate(scene.bodies) if body.instance == instance)
    poses = scene.poses[:, body]
    local = np.einsum("ji,nj->ni", poses[0, :3, :3], points - poses[0, :3, 3])
    shape = scene.bodies[body].shape
    ways = follow(shape, local) if isinstance(shape, Surface) else np.broadcast_to(local, (len(poses), *local.shape))
    return np.einsum("tij,tnj->tni", poses[:, :3, :3], ways) + poses[:, None, :3, 3]


def check_consistency(clip: Clip) -> None:
    """Assert the clip invariant: depth carried along motion is the depth found there, where motion is valid.

    Raises:
        InvalidClipError: it is not, beyond what interpolation explains; names the clip.
    """
    clip.require("depth", "motion")
    what = f"clip '{clip.clip_id}' of scene '{clip.scene}'"
    try:
        check_images(np.asarray(clip.depth), np.asarray(clip.motion), np.asarray(clip.motion_valid), what)
    except BadDrawError as error:
        raise InvalidClipError(f"{what}: {error}") from error


def check_images(
    depth: NDArray[np.float32], motion: NDArray[np.float32], motion_valid: NDArray[np.bool_], what: str
) -> None:
    """Do the same for images (T, H, W), (T - 1, H, W, 3) and (T - 1, H, W) that are yet to become a clip.

    Raises:
        InvalidClipError: flat surfaces contradict themselves; names `what` they are.
        BadDrawError: too many outlines, curved surfaces, or things thinner than a pixel, for depth to be read between
            pixels.
    """
    distance, way = torch.from_numpy(depth), torch.from_numpy(motion).movedim(-1, -3)
    residual, known = warp_residual(distance[:-1], distance[1:], way, torch.from_numpy(motion_valid))
    if not known.any():
        return
    worst = max(float(step[seen].median()) for step, seen in zip(residual, known, strict=True) if seen.any())
    if worst > _MEDIAN_RESIDUAL:
        if worst > _CURVED_RESIDUAL:
            raise InvalidClipError(
                f"{what}: depth and motion disagree (log residual: median of a step up to {worst:.2g})"
            )
        raise BadDrawError("little but curved surfaces in view, where depth and motion are coarse")
    large = _nearest_residual(distance, way, known & (residual > _LARGE_RESIDUAL)) > _LARGE_RESIDUAL
    share = float(large.sum()) / float(known.sum())
    if share > _LARGE_SHARE:
        raise BadDrawError(
            "depth and motion disagree", f"in {100 * share:.1f} % of the pixels by more than {_LARGE_RESIDUAL} (log)"
        )


def _nearest_residual(depth: torch.Tensor, motion: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The least residual (N,) of the N pixels of a mask (T - 1, H, W) against the depths of the four pixels around
    their landing places: between the pixels of an outline depth is a mixture of two surfaces, but one of them must be
    the right one."""
    t, row, column = torch.nonzero(where, as_tuple=True)
    dx, dy, dz = motion.movedim(1, 0)[:, t, row, column]
    H, W = depth.shape[-2:]
    left, top = (column + dx).floor().long(), (row + dy).floor().long()
    least = torch.full_like(dz, torch.inf)
    for down in (0, 1):
        for right in (0, 1):
            found = depth[t + 1, (top + down).clamp(0, H - 1), (left + right).clamp(0, W - 1)]
            least = torch.minimum(least, (found.log() - (depth[t, row, column] + dz).log()).abs())
    return least
