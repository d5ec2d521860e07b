"""A clip that optical flow can follow: textured planes with exact annotations."""

import numpy as np
import pytest
from factories import AnalyticScene, Plane, translation
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip


def texture(points: NDArray[np.float64], waves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Grey values (...) in [0, 1] at surface points (..., 2) in metres: a sum of waves (N, 3) = (kx, ky, phase)."""
    phase = points @ waves[:, :2].T * 2 * np.pi + waves[:, 2]
    return np.clip(0.5 + np.sin(phase).sum(-1) / len(waves) ** 0.5 / 3, 0, 1)


@pytest.fixture(scope="session")
def textured_clip() -> Clip:
    """A square board at 3 m crosses to the right and comes nearer before a wall at 6 m, seen by a static camera."""
    frames, size = 5, 64
    time = np.arange(frames)[:, None]
    board = translation(np.array([-0.5, 0.0, 3.0]) + np.array([0.25, 0.05, -0.1]) * time)
    wall = translation(np.tile([0.0, 0.0, 6.0], (frames, 1)))
    scene = AnalyticScene([Plane(wall), Plane(board, (0.6, 0.6))], translation(0.0 * time * np.ones(3)), size, size)
    exact = scene.annotate()
    rng = np.random.default_rng(0)
    grid = (np.arange(4 * size) + 0.5) / 4  # 4 x 4 samples a pixel: frames without aliasing
    fine = np.stack(np.meshgrid(grid, grid), -1)
    waves = [np.concatenate([rng.normal(0, s, (24, 2)), rng.uniform(0, 7, (24, 1))], 1) for s in (0.6, 1.2)]
    rgb = np.zeros((frames, size, size))
    for t in range(frames):
        _, body, point = scene.cast(t, fine)
        for index, poses in enumerate((wall, board)):
            shade = texture((point - poses[t, :3, 3])[..., :2], waves[index]) * (body == index)
            rgb[t] += shade.reshape(size, 4, size, 4).mean((1, 3))
    return Clip(
        clip_id="board",
        rgb=np.repeat((255 * rgb[..., None]).round().astype(np.uint8), 3, -1),
        fps=8.0,
        source="simulation",
        prompt="a board before a wall",
        category="rigid",
        scene="board",
        seed=7,
        depth=exact["depth"].astype(np.float32),
        motion=exact["motion"].astype(np.float32),
        motion_valid=exact["motion_valid"],
        segmentation=exact["segmentation"],
        intrinsics=scene.intrinsics,
        world_from_camera=scene.cameras,
    )
