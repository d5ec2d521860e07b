"""Videos of a bright square that moves over a dark ground, as takes and worlds of SimIQ."""

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.simiq.frozen import FrozenList, Scenario
from phys4d_kedro.geometry.camera import intrinsics_from_fov

FRAMES, SIZE = 9, 32


def square(step: float, row: int = 12, side: int = 6) -> NDArray[np.uint8]:
    """(T, H, W, 3): a square that goes right by `step` pixels a frame."""
    rgb = np.full((FRAMES, SIZE, SIZE, 3), 20, np.uint8)
    for t in range(FRAMES):
        column = 3 + round(step * t)
        rgb[t, row : row + side, column : column + side] = 220
    return rgb


def clip_of(rgb: NDArray[np.uint8], scenario: str, view: int, take: int) -> Clip:
    """A clip as `simiq_source` makes them."""
    return Clip(
        clip_id=f"simiq-{scenario}-v{view}-t{take}",
        rgb=rgb,
        fps=8.0,
        source="simulation",
        intrinsics=intrinsics_from_fov(50, SIZE, SIZE),
        world_from_camera=np.tile(np.eye(4), (len(rgb), 1, 1)),
        scene=scenario.rpartition("-")[0],
        category="rigid" if scenario.startswith("a") else "cloth",
        prompt="a square moves",
        parameters={"simulation": scenario, "view": view, "take": take},
    )


def frozen_list(*scenarios: str) -> FrozenList:
    """A list that would simulate these scenes."""
    return FrozenList(
        version="tiny",
        seed=7,
        height=SIZE,
        width=SIZE,
        frames=5,
        fps=8.0,
        samples=1,
        views=2,
        take_perturbation=0.01,
        track_points=8,
        least_side=64,
        camera={
            "motions": ["static"],
            "distance": (0.9, 1.2),
            "elevation": (20.0, 40.0),
            "field_of_view": (40.0, 50.0),
            "orbit": (10.0, 20.0),
            "dolly": (0.1, 0.2),
        },
        scenarios=tuple(Scenario(scene=name, index=0, configuration="0" * 8) for name in scenarios),
    )
