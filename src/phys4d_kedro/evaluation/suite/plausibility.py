"""Physical plausibility of followed objects: energy, momentum, interpenetration, permanence; docs/suite.md.

Masses are not seen: objects count as equally dense, and energy and momentum are per kilogram of all of them together.
Letters: T frames, N M points, K objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from phys4d_kedro.evaluation.suite.objects import FollowedObject, presence

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

GRAVITY = 9.81  # m/s^2
# A point further from its object's middle than this multiple of the furthest at first no longer belongs to it.
_FURTHEST = 1.5
_HULL_POINTS = 4


@dataclass(frozen=True)
class Mechanics:
    """What the middles of objects do between successive frames, per kilogram of all objects together.

    energy (T-1,) J/kg: kinetic of the middles' velocity, and potential in uniform gravity, at half-way between frames;
    spin and deformation are not in it. momentum (T-1, 3) m/s.
    """

    energy: Floats
    momentum: Floats


def middles(points: Floats, followed: Bools) -> Floats:
    """Where the middle of an object goes, (T, 3): its first points' mean, moved as the median of those followed.

    Medians of each coordinate, so that single points that slip to another surface move nothing. While no point is
    followed the middle stays where it was.

    Args:
        points: (T, N, 3).
        followed: (T, N).
    """
    step, steps = np.zeros(points.shape[-1]), []
    for now, kept in zip(points, followed, strict=True):
        step = np.median(now[kept] - points[0][kept], axis=0) if kept.any() else step
        steps.append(step)
    return np.asarray(points[0].mean(0) + np.array(steps))


def relative_masses(sizes: Sequence[float]) -> Floats:
    """Shares (K,) of all mass, of equally dense objects alike in shape with these sizes (K)."""
    cubes = np.asarray(sizes, np.float64) ** 3
    return cubes / cubes.sum() if cubes.sum() > 0 else np.full(len(cubes), 1 / len(cubes))


def object_size(points: Floats) -> float:
    """Mean distance in metres of points (N, 3) from their middle."""
    return float(np.linalg.norm(points - points.mean(0), axis=-1).mean())


def mechanics(positions: Floats, masses: Floats, *, fps: float, up: Floats) -> Mechanics:
    """Energy and momentum of objects with middles at positions (K, T, 3) in metres and shares (K,) of the mass.

    The velocity from one frame to the next is exact half-way under constant acceleration, and the mean of both heights
    misses the height there by a constant: free fall keeps its energy to rounding.
    """
    velocity = np.diff(positions, axis=1) * fps
    height = ((positions[:, 1:] + positions[:, :-1]) / 2) @ up
    energy = (velocity**2).sum(-1) / 2 + GRAVITY * height
    return Mechanics(energy=masses @ energy, momentum=np.tensordot(masses, velocity, 1))


def energy_gain(energy: Floats) -> float:
    """Largest rise of energy (T-1,) above any earlier value, J/kg: what nothing but a motor could do."""
    return float((energy - np.minimum.accumulate(energy)).max())


def energy_error(energy: Floats, true: Floats) -> float:
    """Mean difference, J/kg, of how two energies (T-1,) have changed since the start."""
    return float(np.abs((energy - energy[0]) - (true - true[0]))[1:].mean())


def momentum_drift(momentum: Floats, up: Floats) -> float:
    """Mean change, m/s, of level momentum (T-1, 3) since the start; gravity changes none of it."""
    level = momentum - np.outer(momentum @ up, up)
    return float(np.linalg.norm(level - level[0], axis=-1)[1:].mean())


def momentum_error(momentum: Floats, true: Floats) -> float:
    """Mean length, m/s, of the difference of two momenta (T-1, 3)."""
    return float(np.linalg.norm(momentum - true, axis=-1).mean())


def penetration_depth(points: Floats, body: Floats) -> float:
    """How deep, in metres, the deepest of points (N, 3) lies in the convex hull of a body's points (M, 3).

    0 where none lies within, and of a body without volume. Of points of the visible side alone it is a lower bound.
    """
    if len(body) < _HULL_POINTS or not len(points) or not _boxes_meet(points, body):
        return 0.0
    try:
        facets = ConvexHull(body).equations  # outward normal . x + offset, below 0 within
    except QhullError:  # all in a plane
        return 0.0
    depths = -(points @ facets[:, :3].T + facets[:, 3]).max(1)
    return max(0.0, float(depths.max()))


def interpenetration(items: Sequence[FollowedObject]) -> float | None:
    """Mean over frames after the first of the deepest penetration of any object into another, metres.

    Points that are lost, or too far from the rest of their object, do not count. None with fewer than two objects.
    """
    if len(items) < 2:
        return None
    bodies = [_coherent(item) for item in items]
    deepest = [max(penetration_depth(a[t], b[t]) for a, b in permutations(bodies, 2)) for t in range(1, len(bodies[0]))]
    return float(np.mean(deepest))


def spreads(positions: Floats, followed: Bools) -> Floats:
    """Median distance of positions (T, N, D) from their median, relative to the same points in the first frame: (T,).

    Medians, so that points that slip from the object at its silhouette do not decide. NaN where fewer than two are
    followed, or all are in one place.
    """
    found = np.full(len(positions), np.nan)
    for t, kept in enumerate(followed):
        first, now = _spread(positions[0][kept]), _spread(positions[t][kept])
        if first > 0 and now > 0:
            found[t] = now / first
    return found


def volume_drift(items: Sequence[FollowedObject], visible_share: float) -> float | None:
    """Mean over objects and frames of |log(volume / volume in the first frame)|, while the object is there.

    A volume goes with the cube of the spread of its followed points. None where no object is there after the start.
    """
    values = [
        3 * np.abs(np.log(spreads(item.points, item.followed)))[1:][presence(item, visible_share)[1:]] for item in items
    ]
    return _mean(values)


def area_error(items: Sequence[FollowedObject], true: Sequence[FollowedObject], visible_share: float) -> float | None:
    """Mean over objects and frames of |log(area / true area)|, each relative to the first frame, while truly there.

    An area in the image goes with the square of the spread of its followed pixels, which are the same in both.
    """
    values = []
    for item, other in zip(items, true, strict=True):
        areas, known = (2 * np.log(spreads(o.pixels, other.followed)) for o in (item, other))
        values.append(np.abs(areas - known)[1:][presence(other, visible_share)[1:]])
    return _mean(values)


def permanence(there: Bools) -> float:
    """Share of objects and frames after the first in which the object is there; `there` (K, T)."""
    return float(there[:, 1:].mean())


def count_error(there: Bools, true: Bools) -> float:
    """Mean difference, over frames after the first, of how many objects are there, as a share of all K; (K, T)."""
    return float(np.abs(there[:, 1:].sum(0) - true[:, 1:].sum(0)).mean() / len(there))


def _coherent(item: FollowedObject) -> list[Floats]:
    """The followed points of each frame that are still beside each other."""
    centres = middles(item.points, item.followed)
    reach = _FURTHEST * np.linalg.norm(item.points[0] - centres[0], axis=-1).max()
    near = np.linalg.norm(item.points - centres[:, None], axis=-1) <= reach
    return [p[kept] for p, kept in zip(item.points, item.followed & near, strict=True)]


def _spread(positions: Floats) -> float:
    if len(positions) < 2:
        return 0.0
    return float(np.median(np.linalg.norm(positions - np.median(positions, axis=0), axis=-1)))


def _boxes_meet(a: Floats, b: Floats) -> bool:
    return bool((a.min(0) <= b.max(0)).all() and (b.min(0) <= a.max(0)).all())


def _mean(parts: Sequence[Floats]) -> float | None:
    values = np.concatenate([*parts, np.zeros(0)])
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else None
