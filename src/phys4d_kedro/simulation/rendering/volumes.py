"""Smoke and flame: what has no surface. Letters: T frames; X, Y, Z cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.rendering.materials import Colour
from phys4d_kedro.simulation.rendering.solids import check_lengths


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """Smoke and flame on a grid of cells, between whose middles its values are interpolated.

    `density` (T, X, Y, Z) float32, extinction in 1/m; `glow` (the same shape) how brightly it burns, 0 to 1, from dark
    red to pale yellow (a flame that burns brightly also hides what is behind); `velocity` (T, X, Y, Z, 3), metres a
    frame. `lower` is the corner of the grid in the world, `cell` the size of a cell, `colour` that of what the smoke
    scatters, `instance` as in `Body`.

    Raises:
        ConfigurationError: shapes or values are wrong.
    """

    density: NDArray[np.float32]
    velocity: NDArray[np.float32]
    lower: tuple[float, float, float]
    cell: float
    instance: int
    glow: NDArray[np.float32] | None = None
    colour: Colour = (0.6, 0.6, 0.6)

    def __post_init__(self) -> None:
        if self.density.ndim != 4 or not np.isfinite(self.density).all() or self.density.min() < 0:
            raise ConfigurationError(f"volume: density {self.density.shape} must be (T, X, Y, Z), finite, not negative")
        if self.velocity.shape != (*self.density.shape, 3):
            raise ConfigurationError(f"volume: velocity {self.velocity.shape} must be {(*self.density.shape, 3)}")
        if self.glow is not None and self.glow.shape != self.density.shape:
            raise ConfigurationError(f"volume: glow {self.glow.shape} must be {self.density.shape}")
        check_lengths("volume", cell=(self.cell,))
