"""Magnets as point dipoles."""

import numpy as np
from numpy.typing import NDArray

_MU = 4e-7 * np.pi  # vacuum permeability, N/A^2


def dipole_forces(
    positions: NDArray[np.float64], moments: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Forces (N, 3) in N and torques (N, 3) in N m on dipoles at `positions` (N, 3) m with `moments` (N, 3) A m^2.

    Between two: F = 3 mu / (4 pi r^4) ((m1 r) m2 + (m2 r) m1 + (m1 m2) r - 5 (m1 r) (m2 r) r) with the unit vector r
    from the first to the second, torque m2 x B1 (Jackson, Classical Electrodynamics, section 5.7).
    """
    apart = positions[None] - positions[:, None]  # [i, j]: from i to j
    distance = np.linalg.norm(apart, axis=-1)
    np.fill_diagonal(distance, np.inf)
    r = apart / distance[..., None]
    source, target = moments[:, None], moments[None]
    along_source = (source * r).sum(-1, keepdims=True)
    along_target = (target * r).sum(-1, keepdims=True)
    together = (source * target).sum(-1, keepdims=True)
    strength = 3 * _MU / (4 * np.pi * distance[..., None] ** 4)
    force = strength * (
        along_source * target + along_target * source + together * r - 5 * along_source * along_target * r
    )
    field = _MU / (4 * np.pi * distance[..., None] ** 3) * (3 * along_source * r - source)
    return force.sum(axis=0), np.cross(np.broadcast_to(target, field.shape), field).sum(axis=0)
