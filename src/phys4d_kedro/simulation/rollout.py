"""What a simulation comes to: where everything is in every frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering.scene import Material, Surface, Volume

_NOWHERE = -100.0  # metres: deeper lie the grains that are not there yet


@dataclass(frozen=True)
class MovingSurface:
    """What is seen of a rope, cloth, soft body, matter or heated block, in world coordinates."""

    name: str
    surface: Surface
    material: Material


@dataclass(frozen=True)
class Rollout:
    """A simulation over T frames: `poses` (T, P, 4, 4), world from part, of every part of every thing, in order, and
    each part's thing; `surfaces` of what bends and flows, in the order of `Description`; `volumes` of smoke and flame,
    whose instance number is yet to be given."""

    poses: NDArray[np.float64]
    thing_of_part: Sequence[int]
    surfaces: Sequence[MovingSurface] = ()
    volumes: Sequence[Volume] = ()

    def travel(self) -> float:
        """The longest way of anything from where it was in the first frame, metres; along the way for what flows."""
        ways = [np.linalg.norm(self.poses[..., :3, 3] - self.poses[:1, :, :3, 3], axis=-1)]
        ways += [_travel_of(moving.surface) for moving in self.surfaces]
        ways += [np.linalg.norm(volume.velocity, axis=-1).sum(axis=0) for volume in self.volumes]
        return float(max((way.max(initial=0.0) for way in ways), default=0.0))

    def turn(self) -> float:
        """The largest angle by which any part is turned from where it was in the first frame, radians."""
        relative = np.einsum("pji,tpjk->tpik", self.poses[0, :, :3, :3], self.poses[..., :3, :3])
        cosine = (np.trace(relative, axis1=-2, axis2=-1) - 1) / 2
        return float(np.arccos(np.clip(cosine, -1, 1)).max(initial=0.0))


def _travel_of(surface: Surface) -> NDArray[np.floating[Any]]:
    """Ways of a surface's points: of its vertices where they last, else the longest of each step, added up."""
    places = surface.vertices
    lasting = surface.moved is None and all((vertices[:, 2] > _NOWHERE).all() for vertices in places)
    if lasting:
        return np.array([np.linalg.norm(vertices - places[0], axis=-1).max(initial=0.0) for vertices in places])
    followers = places[1:] if surface.moved is None else surface.moved
    return np.cumsum([_longest_step(before, after) for before, after in zip(places, followers, strict=False)])


def _longest_step(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    there = (before[:, 2] > _NOWHERE) & (after[:, 2] > _NOWHERE)
    return float(np.linalg.norm(after[there] - before[there], axis=-1).max(initial=0.0))
