"""Warp structures as NumPy arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def structures(struct: Any, *shape: int) -> NDArray[Any]:
    """A zeroed array of a Warp structure."""
    return np.zeros(shape, dtype=struct.numpy_dtype())


def rigid(matrices: NDArray[np.float64], struct: Any) -> NDArray[Any]:
    """Rigid transforms (..., 4, 4) as structures of rotation and translation (...)."""
    out = structures(struct, *matrices.shape[:-2])
    out["rotation"] = matrices[..., :3, :3]
    out["translation"] = matrices[..., :3, 3]
    return out


def inverse(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of rigid transforms (..., 4, 4)."""
    inverse = np.zeros_like(matrices)
    inverse[..., :3, :3] = matrices[..., :3, :3].swapaxes(-1, -2)
    inverse[..., :3, 3] = -np.einsum("...ji,...j->...i", matrices[..., :3, :3], matrices[..., :3, 3])
    inverse[..., 3, 3] = 1
    return inverse
