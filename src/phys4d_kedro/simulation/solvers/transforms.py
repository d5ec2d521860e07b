"""Rigid transforms between the frames of a description, and how MuJoCo's XML writes them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.description import Vector, rotation_matrix


def transform_of(position: Vector, rotation: Vector = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:
    """(4, 4) of a position (metres) and a rotation (degrees about x, then y, then z)."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(rotation)
    matrix[:3, 3] = position
    return matrix


def place_xml(matrix: NDArray[np.float64]) -> str:
    """Attributes pos and xyaxes of a rigid transform (4, 4)."""
    return f'pos="{join(matrix[:3, 3])}" xyaxes="{join([*matrix[:3, 0], *matrix[:3, 1]])}"'


def join(numbers: Sequence[float] | NDArray[np.float64]) -> str:
    """Numbers of an attribute."""
    return " ".join(f"{number:.9g}" for number in numbers)
