"""A scene as it is declared: things, the ground under them, where to look, and the words for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.randomization import Substance
from phys4d_kedro.simulation.rendering.scene import Shape

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A shape of a compound thing, placed in the thing's frame: metres, and degrees about x, then y, then z."""

    shape: Shape
    position: Vector = (0.0, 0.0, 0.0)
    rotation: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A rigid thing of one substance: position (metres), rotation (degrees about x, then y, then z), velocity (m/s)
    and spin (rad/s) at the start, all in the world. What is `fixed` never moves and belongs to the background."""

    name: str
    substance: Substance
    parts: Sequence[Part]
    position: Vector
    rotation: Vector = (0.0, 0.0, 0.0)
    velocity: Vector = (0.0, 0.0, 0.0)
    spin: Vector = (0.0, 0.0, 0.0)
    fixed: bool = False


@dataclass(frozen=True, kw_only=True)
class Description:
    """One configuration of a scene.

    `prompt` says what happens, and in words what the first frame cannot show, such as speed and direction: in it
    `{direction}` becomes the words for the world's x axis as the camera sees it at first ("to the left"), `{opposite}`
    those for the other way. `centre` and `radius` (metres) bound what should be in view. `at_rest`: nothing is meant
    to move.
    """

    things: Sequence[Thing]
    prompt: str
    centre: Vector
    radius: float
    at_rest: bool = False


def rotation_matrix(degrees: Vector) -> NDArray[np.float64]:
    """(3, 3), of turns about the fixed x, then y, then z axis."""
    x, y, z = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def pace(amount: float, *, slow: float, quick: float) -> str:
    """The prompt's word for how fast something goes: slowly below `slow`, quickly above `quick`."""
    return "slowly" if amount < slow else "quickly" if amount > quick else "steadily"
