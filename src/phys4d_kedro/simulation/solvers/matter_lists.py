"""Which parts of bodies that never move lie near each node of a grid, so that nodes and particles ask no others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_REACH = 2.5  # cells: a particle is up to 0.9 from its nearest node, and walls are felt from 1.5 on


def list_parts(
    halves: Sequence[NDArray[np.float64]],
    matrices: NDArray[np.float64],
    *,
    origin: NDArray[np.float64],
    count: tuple[int, int, int],
    spacing: float,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Parts near each node: those of node n are `items[starts[n]:starts[n + 1]]`, in ascending order.

    `halves` are half the extents (3,) of each part along its axes and `matrices` (P, 4, 4) its pose; a part is near
    where its box, grown by 2.5 cells, reaches. Nodes lie at `origin` + `spacing` times their index, z fastest.
    """
    nodes, parts = [], []
    for number, (half, matrix) in enumerate(zip(halves, matrices, strict=True)):
        grown = half + _REACH * spacing
        extent = np.abs(matrix[:3, :3]) @ grown
        low = np.maximum(np.ceil((matrix[:3, 3] - extent - origin) / spacing), 0).astype(int)
        high = np.minimum(np.floor((matrix[:3, 3] + extent - origin) / spacing) + 1, count).astype(int)
        if (low >= high).any():
            continue
        axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
        i, j, k = np.meshgrid(*axes, indexing="ij")
        place = origin + spacing * np.stack([i, j, k], -1)
        inside = (np.abs((place - matrix[:3, 3]) @ matrix[:3, :3]) <= grown).all(axis=-1)
        nodes.append((((i * count[1]) + j) * count[2] + k)[inside])
        parts.append(np.full(len(nodes[-1]), number))
    total = int(np.prod(count))
    if not nodes:
        return np.zeros(total + 1, np.int32), np.zeros(0, np.int32)
    of_node, items = np.concatenate(nodes), np.concatenate(parts)
    order = np.argsort(of_node, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(of_node, minlength=total))])
    return starts.astype(np.int32), items[order].astype(np.int32)
