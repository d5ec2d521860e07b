"""Matter among rigid bodies: both are stepped together and push each other."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.bad_draws import BadDrawError
from phys4d_kedro.simulation.description import Description, Matter, Vector
from phys4d_kedro.simulation.rollout import MovingSurface
from phys4d_kedro.simulation.solvers.matter import Collider, MatterSimulation
from phys4d_kedro.simulation.solvers.matter_surfaces import grain_surface, liquid_surface
from phys4d_kedro.simulation.solvers.world import World

_GRAIN = 0.75  # radius of the grains that are seen, in distances between particles


class Mixture:
    """A world and the matter in it, from the start on.

    `nudge` (elements, 3) metres is added to the start of what moves freely, the matter's blocks and nozzles included.

    Raises:
        ConfigurationError: the description has matter and no grid.
    """

    def __init__(
        self, description: Description, world: World, nudge: NDArray[np.float64] | None, *, seconds: float, seed: int
    ) -> None:
        if description.grid is None:
            raise ConfigurationError("scene: matter needs Description.grid, the box in which it is simulated")
        self._world, self._matter, self._seed = world, description.matter, seed
        self._spacing = description.grid.spacing
        shifts = np.zeros((len(description.elements), 3)) if nudge is None else nudge
        shifts = shifts[len(shifts) - len(description.matter) :]
        self._simulation = MatterSimulation(
            [_shifted(matter, shift) for matter, shift in zip(description.matter, shifts, strict=True)],
            [
                Collider(
                    parts=thing.solid_parts,
                    friction=thing.substance.friction,
                    container=thing.fixed,
                    fixed=thing.fixed,
                    temperature=description.temperatures.get(thing.name),
                )
                for thing in description.things
            ],
            lower=description.grid.lower,
            upper=description.grid.upper,
            spacing=description.grid.spacing,
            duration=seconds,
            seed=seed,
        )
        self._step = 0
        self._positions: list[list[NDArray[np.float32]]] = []
        self._active: list[list[NDArray[np.bool_]]] = []

    def advance_to(self, step: int) -> None:
        """Go on until `step` steps of the world from the start are done, and remember where the particles are.

        Raises:
            BadDrawError: particles are nowhere.
        """
        stride = max(1, math.floor(self._simulation.timestep / self._world.timestep))
        while self._step < step:
            steps = min(stride, step - self._step)
            seconds = steps * self._world.timestep
            parts = math.ceil(seconds / self._simulation.timestep - 1e-9)
            poses, velocities = self._world.thing_poses(), self._world.thing_velocities()
            impulses = [self._simulation.step(seconds / parts, poses, velocities) for _ in range(parts)]
            self._world.push(np.sum(impulses, axis=0) / seconds)
            self._step += steps
            self._world.advance_to(self._step)
        positions = self._simulation.positions()
        if not all(np.isfinite(each).all() for each in positions):
            raise BadDrawError("the solver became unstable")
        self._positions.append(positions)
        self._active.append(self._simulation.active())

    def surfaces(self) -> list[MovingSurface]:
        """What is seen of every matter in the frames so far."""
        distance = self._spacing / 2
        made = []
        for k, matter in enumerate(self._matter):
            positions, active = [frame[k] for frame in self._positions], [frame[k] for frame in self._active]
            if matter.kind == "granular":
                surface = grain_surface(positions, active, radius=_GRAIN * distance, seed=self._seed)
            else:
                surface = liquid_surface(positions, active, distance=distance)
            made.append(MovingSurface(matter.name, surface, matter.material))
        return made


def _shifted(matter: Matter, shift: NDArray[np.float64]) -> Matter:
    def moved(position: Vector) -> Vector:
        x, y, z = (np.asarray(position) + shift).tolist()
        return (x, y, z)

    return replace(
        matter,
        blocks=[replace(block, position=moved(block.position)) for block in matter.blocks],
        emitters=[replace(emitter, position=moved(emitter.position)) for emitter in matter.emitters],
    )
