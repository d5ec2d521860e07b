"""Sources of smoke and flame: what they keep up, how fast things go around them, and their turbulence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Gas, GasSource
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.gas_kernels import Swirl, Wave

AIR_TEMPERATURE = 293.0
# Kinematic viscosity of air there, m^2/s; it grows with the temperature to this power.
_VISCOSITY = 1.5e-5
_VISCOSITY_POWER = 1.7
# Reynolds number at which half of the full turbulence acts.
_HALF_TURBULENT = 1000.0
# Times in units of sqrt(radius / buoyancy): until a flame has burnt away, and until heat has fallen to 1 / e.
_BURNING = 2.8
_COOLING = 20.0
_FLAME_COOLING = 5.0
# At full turbulence: acceleration as a share of what drives a source, and vorticity confinement as a share of its rate.
_TURBULENCE = 0.4
_CONFINEMENT = 0.5
_WAVES = 8


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast things go in a gas: `burning` is the time (s) in which a flame burns away, `cooling` that in which heat
    falls to 1 / e, `confinement` the strength of vorticity confinement (1/s)."""

    burning: float
    cooling: float
    confinement: float


def check_sources(gas: Gas) -> None:
    """Raise ConfigurationError unless every source has a place on the grid and can do what it should."""
    for source in gas.sources:
        what = f"gas '{gas.name}': the source at {source.position}"
        nearest = np.clip(source.position, gas.lower, gas.upper)
        if not np.linalg.norm(nearest - source.position) < source.radius:
            raise ConfigurationError(f"{what} lies outside the box")
        if source.radius < gas.cell:
            raise ConfigurationError(f"{what}: radius {source.radius} must be at least a cell, {gas.cell}")
        if source.heat < 0 or source.smoke < 0 or (source.flame and source.heat == 0):
            raise ConfigurationError(f"{what}: heat and smoke must not be negative, and a flame needs heat")


def find_pace(gas: Gas) -> Pace:
    """The pace of the mean source."""
    flames = [source.radius / _buoyancy(source) for source in gas.sources if source.flame]
    cooling = [
        (_FLAME_COOLING if source.flame else _COOLING) * (source.radius / _buoyancy(source)) ** 0.5
        for source in gas.sources
        if source.heat > 0
    ]
    rates = [(_drive(gas, source) / source.radius) ** 0.5 * _turbulence(gas, source) for source in gas.sources]
    return Pace(
        burning=_BURNING * float(np.mean(np.sqrt(flames))) if flames else 1.0,
        cooling=float(np.mean(cooling)) if cooling else 1.0,
        confinement=_CONFINEMENT * max(rates, default=0.0),
    )


def kept_up(gas: Gas, sources: Sequence[GasSource], centres: NDArray[np.float64]) -> NDArray[np.float32]:
    """(X, Y, Z, 3): the smoke, heat and flame that sources keep up in each cell, by how much of it they cover."""
    kept = np.zeros(centres.shape, np.float32)
    for source in sources:
        distance = np.linalg.norm(centres - source.position, axis=-1)
        covered = np.clip(0.5 + (source.radius - distance) / gas.cell, 0, 1)
        full = np.array([source.smoke, source.heat, source.flame], np.float32)
        kept = np.maximum(kept, covered[..., None].astype(np.float32) * full)
    return kept


def draw_turbulence(gas: Gas, rng: np.random.Generator) -> tuple[Any, Any]:
    """Swirls (one a source) and their waves, as the kernels take them: for each source a few waves about as long as it
    is wide, pushing across their direction (so that they stir and do not squeeze), that pass in about its own time."""
    structures: Any = (Swirl, Wave)
    swirls, waves = (
        np.zeros(count * len(gas.sources), kind.numpy_dtype())
        for kind, count in zip(structures, (1, _WAVES), strict=True)
    )
    for s, source in enumerate(gas.sources):
        drive = _drive(gas, source)
        own = slice(s * _WAVES, (s + 1) * _WAVES)
        swirls[s]["centre"] = np.subtract(source.position, gas.lower) / gas.cell
        swirls[s]["radius"] = source.radius / gas.cell
        swirls[s]["first"], swirls[s]["last"] = own.start, own.stop
        directions = rng.normal(size=(2, _WAVES, 3))
        along = directions[0] / np.linalg.norm(directions[0], axis=-1, keepdims=True)
        across = np.cross(along, directions[1])
        across /= np.linalg.norm(across, axis=-1, keepdims=True)
        amplitude = _TURBULENCE * _turbulence(gas, source) * drive * (2 / _WAVES) ** 0.5
        waves[own]["number"] = along * rng.uniform(0.5, 2.0, (_WAVES, 1)) * np.pi * gas.cell / source.radius
        waves[own]["push"] = amplitude * across
        waves[own]["rate"] = rng.uniform(0.5, 2.0, _WAVES) * (drive / source.radius) ** 0.5
        waves[own]["phase"] = rng.uniform(0, 2 * np.pi, _WAVES)
    return swirls, waves


def _buoyancy(source: GasSource) -> float:
    return GRAVITY * source.heat / AIR_TEMPERATURE


def _drive(gas: Gas, source: GasSource) -> float:
    """What moves the gas at a source, m/s^2: its buoyancy, and the wind that must go around."""
    return _buoyancy(source) + float(np.dot(gas.wind, gas.wind)) / source.radius


def _turbulence(gas: Gas, source: GasSource) -> float:
    """0 for a source so small that its gas rises smoothly, as a candle's does; 1 for a large one."""
    viscosity = _VISCOSITY * (1 + source.heat / AIR_TEMPERATURE) ** _VISCOSITY_POWER
    reynolds = (_drive(gas, source) * source.radius) ** 0.5 * source.radius / viscosity
    return reynolds / (reynolds + _HALF_TURBULENT)
