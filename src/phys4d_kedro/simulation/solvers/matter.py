"""Liquids, grains and elastic masses as particles: the material point method, coupled with rigid bodies.

Everything is weakly compressible: the stiffness of liquids and grains is not that of nature but the one with which
sound travels ten times as fast as anything that falls through the height of the domain, so that densities vary by about
a hundredth. Explicit, float32, on CPU and GPU with the same kernels; the same bytes every time on a CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Matter, Part, Vector
from phys4d_kedro.simulation.rendering.scene import Cylinder, Sphere
from phys4d_kedro.simulation.solvers import matter_kernels as kernels
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.matter_contact import BOX, CYLINDER, SPHERE, Bodies, Placement, Solid
from phys4d_kedro.simulation.solvers.matter_laws import ELASTIC, GRANULAR, LIQUID, Law, Particles
from phys4d_kedro.simulation.solvers.matter_lists import list_parts
from phys4d_kedro.simulation.solvers.matter_shapes import Seeds, half_extent, hidden_faces, part_matrix, seed_matter

# Speed of sound over the largest speed of falling; share of the CFL limit; ratio of Poisson of grains and elastic mass.
_MACH = 10.0
_COURANT = 0.4
_POISSON = 0.3
# Friction of elastic masses against the ground; grains take the tangent of their own angle, liquids none.
_ELASTIC_FRICTION = 0.6
# Nodes so many cells before the surface of a body already move with it. At the walls of a container, with less,
# particles press on the surface themselves and the pressure there goes wrong. Around a body in a liquid more means more
# drag and too much buoyancy: 0.2 lifts balls by 0.8 and boxes by 1.1 of what they displace, at four cells across.
_CONTAINER_REACH = 0.8
_BODY_REACH = 0.2
# A liquid's J follows that around it, and crowding, over the time in which sound crosses so many cells.
_RELAXATION_CELLS = 8.0
# Cells beside the domain, so that every particle in it has all its nodes.
_MARGIN = 2


@dataclass(frozen=True, kw_only=True)
class Collider:
    """A rigid body as the particles meet it: `parts` are spheres, boxes and cylinders in the body's frame. A body with
    a `temperature` (K) heats the melting matter that touches it. A `container` has matter inside it, or against its
    walls, which must be two cells thick; what moves through matter is none. What is `fixed` stays where it first is."""

    parts: Sequence[Part]
    friction: float
    temperature: float | None = None
    container: bool = False
    fixed: bool = False


class MatterSimulation:
    """Matter in a box of space, from `lower` to `upper` (metres), on a grid of `spacing` metres.

    What leaves the box is gone; with `ground`, z = 0 is a solid plane. Emitters work for at most `duration` seconds.

    Raises:
        ConfigurationError: a shape is not known, the box is empty, or matter starts outside it.
    """

    def __init__(
        self,
        matter: Sequence[Matter],
        colliders: Sequence[Collider],
        *,
        lower: Vector,
        upper: Vector,
        spacing: float,
        duration: float,
        ground: bool = True,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self._device, self._ground, self._spacing = device, ground, spacing
        low, high = np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64)
        if not (low < high).all() or not spacing > 0:
            raise ConfigurationError(f"matter: the domain from {lower} to {upper}, spacing {spacing} m, is empty")
        rng = np.random.default_rng(seed)
        seeds = [seed_matter(one, spacing, duration, rng) for one in matter]
        for one, seeded in zip(matter, seeds, strict=True):
            if not ((seeded.positions > low) & (seeded.positions < high)).all():
                raise ConfigurationError(f"matter '{one.name}': it starts outside the domain from {lower} to {upper}")
        self._slices = np.cumsum([0] + [len(seeded.births) for seeded in seeds])
        self._heated = any(one.melting is not None for one in matter)
        self._time = 0.0
        speed = _largest_speed(matter, float(high[2] - (max(low[2], 0.0) if ground else low[2])))
        self._timestep = min(_timestep(one, speed, spacing) for one in matter)
        self._bounds = (wp.vec3(*low.tolist()), wp.vec3(*high.tolist()))
        with wp.ScopedDevice(device):
            laws = np.concatenate([_law(one, speed, spacing) for one in matter])
            self._laws = wp.array(laws, dtype=Law)
            self._particles = _particles(matter, seeds)
            self._grid = _grid(low, high, spacing, self._heated)
            self._place_colliders(colliders)

    def _place_colliders(self, colliders: Sequence[Collider]) -> None:
        parts = [part for collider in colliders for part in collider.parts]
        solids = _records(Solid, len(parts))
        self._body_of = np.array([c for c, collider in enumerate(colliders) for _ in collider.parts], dtype=int)
        self._body_from_part = np.array([part_matrix(part) for part in parts]).reshape(-1, 4, 4)
        hidden = [mask for collider in colliders for mask in hidden_faces(collider.parts)]
        for s, part in enumerate(parts):
            body = colliders[self._body_of[s]]
            kind = SPHERE if isinstance(part.shape, Sphere) else CYLINDER if isinstance(part.shape, Cylinder) else BOX
            half = half_extent(part.shape, "collider")
            reach = (_CONTAINER_REACH if body.container else _BODY_REACH) * self._spacing
            solids[s] = (kind, half, hidden[s], self._body_of[s], reach, body.friction, body.temperature or 0.0)
        self._halves = [half_extent(part.shape, "collider") for part in parts]
        self._fixed = np.array([colliders[body].fixed for body in self._body_of], dtype=bool)
        self._bodies = Bodies()
        self._bodies.solids = wp.array(solids, dtype=Solid)
        self._bodies.places = wp.zeros(len(parts), dtype=Placement)
        self._bodies.moving = wp.array(np.flatnonzero(~self._fixed), dtype=wp.int32)
        self._listed = False
        self._placements = _records(Placement, len(parts))
        self._impulses: Any = wp.zeros(len(colliders), dtype=wp.spatial_vector)

    @property
    def timestep(self) -> float:
        """Longest stable step, s."""
        return self._timestep

    def step(self, dt: float, poses: NDArray[np.float64], velocities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move on by `dt` seconds, at most `timestep`.

        `poses` (C, 4, 4) are the colliders', world from body; `velocities` (C, 6) linear (m/s) and angular (rad/s) in
        world axes. Returns (C, 6): the impulse (N s) and angular impulse about the body's origin (N m s) that the
        matter has given to each.
        """
        self._move_bodies(poses, velocities)
        grid, particles, device = self._grid, self._particles, self._device
        heated, ground = int(self._heated), int(self._ground)
        for array in (grid.motion, grid.shares, grid.heat, self._impulses):
            array.zero_()
        count, nodes = particles.birth.shape, grid.motion.shape
        inputs = [self._time, dt, heated, self._laws, particles, grid]
        wp.launch(kernels.scatter, count, inputs=inputs, device=device)
        inputs = [dt, GRAVITY, ground, heated, self._bodies, grid, self._impulses]
        wp.launch(kernels.move_grid, nodes, inputs=inputs, device=device)
        if self._heated:
            wp.launch(kernels.conduct, nodes, inputs=[grid], device=device)
        inputs = [
            self._time,
            dt,
            ground,
            heated,
            *self._bounds,
            self._laws,
            self._bodies,
            particles,
            grid,
            self._impulses,
        ]
        wp.launch(kernels.gather, count, inputs=inputs, device=device)
        self._time += dt
        return self._impulses.numpy().astype(np.float64)

    def _move_bodies(self, poses: NDArray[np.float64], velocities: NDArray[np.float64]) -> None:
        if len(self._body_of) == 0:
            if not self._listed:
                self._list_fixed(np.zeros((0, 4, 4)))
            return
        world = poses[self._body_of] @ self._body_from_part
        self._placements["rotation"] = world[:, :3, :3]
        self._placements["position"] = world[:, :3, 3]
        self._placements["origin"] = poses[self._body_of, :3, 3]
        self._placements["linear"] = velocities[self._body_of, :3]
        self._placements["angular"] = velocities[self._body_of, 3:]
        self._bodies.places.assign(wp.array(self._placements, dtype=Placement, device="cpu", copy=False))
        if not self._listed:
            self._list_fixed(world)

    def _list_fixed(self, world: NDArray[np.float64]) -> None:
        """Note which fixed parts, at `world` (P, 4, 4), are near each node."""
        grid, numbers = self._grid, np.flatnonzero(self._fixed)
        starts, items = list_parts(
            [self._halves[number] for number in numbers],
            world[numbers],
            origin=np.array(grid.origin, dtype=np.float64),
            count=tuple(grid.count),
            spacing=self._spacing,
        )
        with wp.ScopedDevice(self._device):
            self._bodies.starts = wp.array(starts, dtype=wp.int32)
            self._bodies.items = wp.array(numbers[items], dtype=wp.int32)
        self._listed = True

    def positions(self) -> list[NDArray[np.float32]]:
        """(N, 3) of each matter's particles, always all of them and in the same order: before it is born a particle is
        at its nozzle, after it has left the domain where it left. Not finite: the solver has blown up."""
        return self._split(self._particles.position)

    def velocities(self) -> list[NDArray[np.float32]]:
        """(N, 3) of each matter's particles, m/s."""
        return self._split(self._particles.velocity)

    def active(self) -> list[NDArray[np.bool_]]:
        """(N,) of each matter's particles: born, and in the domain."""
        return [birth <= np.float32(self._time) for birth in self._split(self._particles.birth)]

    def temperatures(self) -> list[NDArray[np.float32]]:
        """(N,) of each matter's particles, K; it changes only where a matter melts."""
        return self._split(self._particles.temperature)

    def melted(self) -> list[NDArray[np.bool_]]:
        """(N,) of each matter's particles: has been hotter than its melting point, and is a liquid since."""
        return [melted != 0 for melted in self._split(self._particles.melted)]

    def _split(self, array: Any) -> list[NDArray[Any]]:
        values = array.numpy()
        return [values[a:b].copy() for a, b in zip(self._slices[:-1], self._slices[1:], strict=True)]


def _records(structure: Any, count: int) -> NDArray[Any]:
    """Zeroed instances of a Warp structure."""
    return np.zeros(count, dtype=structure.numpy_dtype())


def _largest_speed(matter: Sequence[Matter], height: float) -> float:
    emitted = [float(np.linalg.norm(emitter.velocity)) for one in matter for emitter in one.emitters]
    return float(np.sqrt(max(emitted, default=0.0) ** 2 + 2 * GRAVITY * height))


def _moduli(matter: Matter, speed: float) -> tuple[float, float]:
    """Lame's first parameter and the shear modulus, Pa."""
    if matter.kind == "elastic":
        young = matter.young
    else:
        young = matter.density * (_MACH * speed) ** 2 * (1 + _POISSON) * (1 - 2 * _POISSON) / (1 - _POISSON)
    return young * _POISSON / ((1 + _POISSON) * (1 - 2 * _POISSON)), young / (2 * (1 + _POISSON))


def _timestep(matter: Matter, speed: float, spacing: float) -> float:
    lame, shear = _moduli(matter, speed)
    sound = float(np.sqrt((lame + 2 * shear) / matter.density))
    if matter.kind == "liquid" or matter.melting is not None:
        sound = max(sound, _MACH * speed)
    spreading = max(matter.viscosity / matter.density, matter.diffusivity if matter.melting is not None else 0.0)
    return min(_COURANT * spacing / (sound + speed), spacing**2 / (8 * max(spreading, 1e-12)))


def _law(matter: Matter, speed: float, spacing: float) -> NDArray[Any]:
    law = _records(Law, 1)
    sine = np.sin(np.radians(matter.friction_angle))
    lame, shear = _moduli(matter, speed)
    granular = matter.kind == "granular"
    law["kind"] = {"liquid": LIQUID, "granular": GRANULAR, "elastic": ELASTIC}[matter.kind]
    law["density"] = matter.density
    law["bulk"] = matter.density * (_MACH * speed) ** 2
    law["lame"], law["shear"] = lame, shear
    law["viscosity"] = matter.viscosity
    law["slope"] = np.sqrt(2 / 3) * 2 * sine / (3 - sine)
    friction = np.tan(np.radians(matter.friction_angle)) if granular else _ELASTIC_FRICTION
    law["wall_friction"] = 0.0 if matter.kind == "liquid" else friction
    law["melting"] = matter.melting or 0.0
    law["diffusivity"] = matter.diffusivity
    law["relaxation"] = _MACH * speed / (_RELAXATION_CELLS * spacing)
    return law


def _particles(matter: Sequence[Matter], seeds: Sequence[Seeds]) -> Any:
    counts = [len(seeded.births) for seeded in seeds]
    total = sum(counts)
    identity = np.broadcast_to(np.eye(3, dtype=np.float32), (total, 3, 3))
    particles = Particles()
    particles.matter = wp.array(np.repeat(np.arange(len(seeds)), counts), dtype=wp.int32)
    particles.volume = wp.array(np.concatenate([seeded.volumes for seeded in seeds]), dtype=float)
    particles.birth = wp.array(np.concatenate([seeded.births for seeded in seeds]), dtype=float)
    particles.position = wp.array(np.concatenate([seeded.positions for seeded in seeds]), dtype=wp.vec3)
    particles.velocity = wp.array(np.concatenate([seeded.velocities for seeded in seeds]), dtype=wp.vec3)
    particles.gradient = wp.zeros(total, dtype=wp.mat33)
    particles.strain = wp.array(identity, dtype=wp.mat33)
    liquid = np.repeat([1.0 if one.kind == "liquid" else 0.0 for one in matter], counts)
    particles.swell = wp.array(liquid, dtype=float)
    particles.stress = wp.zeros(total, dtype=wp.mat33)
    particles.temperature = wp.array(np.repeat([one.temperature for one in matter], counts), dtype=float)
    particles.melted = wp.zeros(total, dtype=wp.int32)
    return particles


def _grid(low: NDArray[np.float64], high: NDArray[np.float64], spacing: float, heated: bool) -> Any:
    """One of its planes of nodes is the ground."""
    first = np.floor(low / spacing) - _MARGIN
    count = (np.ceil(high / spacing) - first).astype(int) + _MARGIN + 1
    nodes = int(count.prod())
    grid = kernels.Grid()
    grid.origin = wp.vec3(*(first * spacing).tolist())
    grid.count = wp.vec3i(*count.tolist())
    grid.spacing = spacing
    grid.motion = wp.zeros(nodes, dtype=wp.vec4)
    grid.shares = wp.zeros(nodes, dtype=wp.vec4)
    grid.heat = wp.zeros(nodes if heated else 1, dtype=wp.vec2)
    grid.heating = wp.zeros(nodes if heated else 1, dtype=float)
    return grid
