"""A description becomes motion: every solver that it needs, coupled, over the frames of a clip.

MuJoCo moves rigid and flexible bodies (`solvers/world.py`), the material point method what flows (`solvers/matter.py`),
a grid the air (`solvers/gas.py`) and heat (`solvers/heat.py`). Matter and rigid bodies push each other, step by step;
air flows round rigid bodies, which do not feel it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.description import Description, Gas, Thing
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Sphere, Volume
from phys4d_kedro.simulation.rollout import MovingSurface, Rollout
from phys4d_kedro.simulation.solvers.flexibles import cloth_surface, soft_surface
from phys4d_kedro.simulation.solvers.ropes import rope_surface
from phys4d_kedro.simulation.solvers.world import World


@dataclass
class _Recording:
    parts: list[NDArray[np.float64]] = field(default_factory=list)
    things: list[NDArray[np.float64]] = field(default_factory=list)
    ropes: list[list[NDArray[np.float64]]] = field(default_factory=list)
    flexes: list[list[NDArray[np.float64]]] = field(default_factory=list)

    def add(self, world: World) -> None:
        self.parts.append(world.part_poses())
        self.things.append(world.thing_poses())
        self.ropes.append(world.rope_poses())
        self.flexes.append(world.flex_vertices())


def roll_out(
    description: Description, *, frames: int, fps: float, nudge: NDArray[np.float64] | None = None, seed: int = 0
) -> Rollout:
    """Simulate `frames` frames at `fps`, starting from the description's initial state.

    Args:
        nudge: (elements, 3) metres added to the start of what moves freely.
        seed: of the places of particles and of the unrest of flames.

    Raises:
        BadDrawError: things overlap at the start, or a solver fails.
    """
    world = World(description, nudge)
    recording = _Recording()
    steps = np.round(np.arange(frames) / fps / world.timestep).astype(int)
    if description.matter or description.gas:
        from phys4d_kedro.simulation.warp_start import start_warp

        start_warp()
    if description.matter:
        from phys4d_kedro.simulation.solvers.mixture import Mixture

        mixture = Mixture(description, world, nudge, seconds=frames / fps, seed=seed)
    for step in steps:
        if description.matter:
            mixture.advance_to(int(step))
        else:
            world.advance_to(int(step))
        recording.add(world)
    world.check()
    surfaces = _surfaces(description, recording)
    if description.matter:
        surfaces += mixture.surfaces()
    surfaces += _heated(description, frames, fps)
    things = np.array(recording.things).reshape(frames, -1, 4, 4)
    return Rollout(
        np.array(recording.parts),
        [index for index, thing in enumerate(description.things) for _ in thing.parts],
        surfaces,
        [] if description.gas is None else [_air(description.gas, description.things, things, fps, seed)],
    )


def _surfaces(description: Description, recording: _Recording) -> list[MovingSurface]:
    made = []
    for r, rope in enumerate(description.ropes):
        poses = np.array([frame[r] for frame in recording.ropes])
        made.append(MovingSurface(rope.name, rope_surface(rope, poses), rope.substance.material))
    flexes = [np.array(frames) for frames in zip(*recording.flexes, strict=True)]
    for cloth, vertices in zip(description.cloths, flexes, strict=False):
        made.append(MovingSurface(cloth.name, cloth_surface(cloth, vertices), cloth.substance.material))
    for body, vertices in zip(description.soft_bodies, flexes[len(description.cloths) :], strict=True):
        made.append(MovingSurface(body.name, soft_surface(body, vertices), body.substance.material))
    return made


def _heated(description: Description, frames: int, fps: float) -> list[MovingSurface]:
    if not description.heated:
        return []
    from phys4d_kedro.simulation.solvers.heat import conduct, heated_surface

    return [
        MovingSurface(block.name, heated_surface(block, conduct(block, frames=frames, fps=fps)), block.material)
        for block in description.heated
    ]


def _air(gas: Gas, things: Sequence[Thing], poses: NDArray[np.float64], fps: float, seed: int) -> Volume:
    from phys4d_kedro.simulation.solvers.gas import simulate_gas
    from phys4d_kedro.simulation.solvers.gas_pressure import Obstacle
    from phys4d_kedro.simulation.solvers.transforms import transform_of

    inside = []
    for index, thing in enumerate(things):
        for part in thing.solid_parts:
            placed = poses[:, index] @ transform_of(part.position, part.rotation)
            if isinstance(part.shape, Sphere | Box | Cylinder) and _reaches(gas, placed):
                inside.append(Obstacle(shape=part.shape, poses=placed))
    return simulate_gas(gas, frames=len(poses), fps=fps, seed=seed, instance=0, obstacles=inside)


def _reaches(gas: Gas, poses: NDArray[np.float64]) -> bool:
    """Whether something comes within half a metre of the gas's box."""
    outside = np.maximum(np.asarray(gas.lower) - poses[:, :3, 3], poses[:, :3, 3] - np.asarray(gas.upper))
    return bool(math.hypot(*np.maximum(outside, 0).min(axis=0)) < 0.5)
