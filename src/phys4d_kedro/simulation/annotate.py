"""Exact annotations of a rendered simulation, gathered into a clip and checked against each other."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.geometry.camera import transform, unproject
from phys4d_kedro.geometry.flow import warp_residual
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, visibility
from phys4d_kedro.simulation.rendering.scene import RenderScene

# Log depth. Samples between pixels err where a surface bends, at creases and outlines (up to 2 % of a 64 x 64 clip);
# on flat surfaces, most of any clip, they err by rounding alone (1e-7).
_MEDIAN_RESIDUAL = 1e-5
_LARGE_RESIDUAL, _LARGE_SHARE = 0.05, 0.1


def track_points(
    scene: RenderScene, image: RenderOutput, count: int, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Tracks of up to `count` material points that frame 0 sees on moving things: see `Clip`.

    A point is where a pixel's ray hits, carried by the pose of its body.
    """
    T, H, W = image.depth.shape
    rows, columns = np.nonzero((image.segmentation[0] > 0) & np.isfinite(image.depth[0]))
    chosen = np.sort(rng.choice(len(rows), size=min(count, len(rows)), replace=False))
    rows, columns = rows[chosen], columns[chosen]
    camera = scene.camera
    seen = unproject(torch.from_numpy(image.depth[0]).double(), torch.from_numpy(camera.intrinsics))
    points = transform(seen, torch.from_numpy(camera.world_from_camera[0])).numpy()[rows, columns]
    body = _body_under(scene, points, image.segmentation[0][rows, columns])
    poses = scene.poses[:, body]
    local = np.einsum("nji,nj->ni", poses[0, :, :3, :3], points - poses[0, :, :3, 3])
    moved = np.einsum("tnij,nj->tni", poses[..., :3, :3], local) + poses[..., :3, 3]
    return {
        "tracks": moved.astype(np.float32),
        "track_instance": image.segmentation[0][rows, columns],
        "track_visible": visibility(scene, moved, H, W) if len(body) else np.zeros((T, 0), bool),
    }


def _body_under(scene: RenderScene, points: NDArray[np.float64], instances: NDArray[np.uint16]) -> NDArray[np.int64]:
    """A body of each point's instance; its parts move as one, so any will do."""
    first = {body.instance: index for index, body in reversed(list(enumerate(scene.bodies)))}
    return np.array([first[int(instance)] for instance in instances], dtype=np.int64).reshape(len(points))


def check_consistency(clip: Clip) -> None:
    """Assert the clip invariant: depth carried along motion is the depth found there, where motion is valid.

    Raises:
        InvalidClipError: it is not, beyond what interpolation explains; names the clip.
    """
    clip.require("depth", "motion")
    depth = torch.from_numpy(np.asarray(clip.depth))
    motion = torch.from_numpy(np.asarray(clip.motion)).movedim(-1, -3)
    residual, known = warp_residual(depth[:-1], depth[1:], motion, torch.from_numpy(np.asarray(clip.motion_valid)))
    values = residual[known]
    if not len(values):
        return
    worst = max(float(step[seen].median()) for step, seen in zip(residual, known, strict=True) if seen.any())
    large = float((values > _LARGE_RESIDUAL).double().mean())
    if worst > _MEDIAN_RESIDUAL or large > _LARGE_SHARE:
        raise InvalidClipError(
            f"clip '{clip.clip_id}' of scene '{clip.scene}': depth and motion disagree (log residual: median of a step "
            f"up to {worst:.2g}, {100 * large:.1f} % of pixels above {_LARGE_RESIDUAL})"
        )
