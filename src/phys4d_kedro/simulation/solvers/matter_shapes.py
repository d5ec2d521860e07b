"""Points of shapes: the particles that matter starts from and is emitted as, and where the parts of a body touch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Emitter, Matter, Part, rotation_matrix
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Shape, Sphere

# Particles start on a lattice, off its points by at most this share of its spacing.
_JITTER = 0.2
# A face is hidden where points of it, this much in front (m), lie in another part.
_TOUCH = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Seeds:
    """Particles of one matter in order of birth (s; below 0 from the start): `positions` (N, 3) and `velocities`
    (N, 3) float64 when they are born, `volumes` (N,) m^3."""

    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]
    volumes: NDArray[np.float64]
    births: NDArray[np.float64]


def half_extent(shape: Shape, what: str) -> NDArray[np.float64]:
    """(3,): half the size along the axes of its frame.

    Raises:
        ConfigurationError: it is neither sphere, box nor cylinder; `what` names its owner.
    """
    if isinstance(shape, Sphere):
        return np.full(3, shape.radius)
    if isinstance(shape, Box):
        return np.array(shape.half_extents, dtype=np.float64)
    if isinstance(shape, Cylinder):
        return np.array([shape.radius, shape.radius, shape.half_height])
    raise ConfigurationError(f"{what}: matter knows Sphere, Box and Cylinder, not {type(shape).__name__}")


def part_matrix(part: Part) -> NDArray[np.float64]:
    """(4, 4): frame of the whole from that of the part."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(part.rotation)
    matrix[:3, 3] = part.position
    return matrix


def inside(shape: Shape, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (N, 3), in the shape's frame, are in a sphere, box or cylinder."""
    half = half_extent(shape, "shape")
    if isinstance(shape, Sphere):
        return np.asarray((points**2).sum(axis=1) < half[0] ** 2)
    if isinstance(shape, Cylinder):
        return np.asarray(((points[:, :2] ** 2).sum(axis=1) < half[0] ** 2) & (np.abs(points[:, 2]) < half[2]))
    return np.asarray((np.abs(points) < half).all(axis=1))


def volume_of(shape: Shape) -> float:
    """Of a sphere, box or cylinder, m^3."""
    half = half_extent(shape, "shape")
    share = np.pi / 6 if isinstance(shape, Sphere) else np.pi / 4 if isinstance(shape, Cylinder) else 1.0
    return float(8 * share * half.prod())


def hidden_faces(parts: Sequence[Part]) -> list[int]:
    """Of each part, as bits 2 k and 2 k + 1 for its faces towards -k and +k: those that lie wholly against other
    parts of the same body (the ends of a container's walls), of boxes and the caps of cylinders."""
    grid = np.stack(np.meshgrid(*[np.linspace(-0.98, 0.98, 9)] * 2), axis=-1).reshape(-1, 2)
    matrices = [part_matrix(part) for part in parts]
    masks = []
    for a, part in enumerate(parts):
        mask = 0
        half = half_extent(part.shape, "collider")
        axes = () if isinstance(part.shape, Sphere) else (2,) if isinstance(part.shape, Cylinder) else (0, 1, 2)
        on_face = grid[(grid**2).sum(axis=1) < 0.97] if isinstance(part.shape, Cylinder) else grid
        for axis in axes:
            for side in (0, 1):
                points = np.insert(on_face, axis, 2 * side - 1, axis=1) * half
                points[:, axis] += (2 * side - 1) * _TOUCH
                world = points @ matrices[a][:3, :3].T + matrices[a][:3, 3]
                covered = np.zeros(len(world), dtype=bool)
                for b, other in enumerate(parts):
                    if b != a:
                        covered |= inside(other.shape, (world - matrices[b][:3, 3]) @ matrices[b][:3, :3])
                mask |= int(covered.all()) << (2 * axis + side)
        masks.append(mask)
    return masks


def seed_matter(matter: Matter, spacing: float, duration: float, rng: np.random.Generator) -> Seeds:
    """Eight particles a cell of `spacing` metres in the blocks, and those that the emitters emit within `duration`
    seconds.

    Raises:
        ConfigurationError: a block has a shape other than sphere, box, cylinder, or no particle fits in it.
    """
    pieces = [_fill(block, matter.name, spacing, rng) for block in matter.blocks]
    pieces += [_emit(emitter, matter.name, spacing, duration, rng) for emitter in matter.emitters]
    if not pieces:
        raise ConfigurationError(f"matter '{matter.name}': give it blocks or emitters")
    births = np.concatenate([piece.births for piece in pieces])
    order = np.argsort(births, kind="stable")
    return Seeds(
        positions=np.concatenate([piece.positions for piece in pieces])[order],
        velocities=np.concatenate([piece.velocities for piece in pieces])[order],
        volumes=np.concatenate([piece.volumes for piece in pieces])[order],
        births=births[order],
    )


def _lattice(half: NDArray[np.float64], spacing: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(N, 3): jittered points that fill a box around the origin, evenly along each axis, about `spacing` / 2 apart."""
    counts = np.maximum(np.rint(4 * half / spacing), 1).astype(int)
    cells = np.stack(np.meshgrid(*[np.arange(count) for count in counts], indexing="ij"), axis=-1).reshape(-1, 3)
    return ((cells + 0.5 + rng.uniform(-_JITTER, _JITTER, cells.shape)) / counts * 2 - 1) * half


def _fill(block: Part, name: str, spacing: float, rng: np.random.Generator) -> Seeds:
    points = _lattice(half_extent(block.shape, f"matter '{name}'"), spacing, rng)
    points = points[inside(block.shape, points)]
    if len(points) == 0:
        raise ConfigurationError(f"matter '{name}': a block of it is smaller than the grid's spacing {spacing} m")
    matrix = part_matrix(block)
    return Seeds(
        positions=points @ matrix[:3, :3].T + matrix[:3, 3],
        velocities=np.zeros_like(points),
        volumes=np.full(len(points), volume_of(block.shape) / len(points)),
        births=np.full(len(points), -1.0),
    )


def _emit(emitter: Emitter, name: str, spacing: float, duration: float, rng: np.random.Generator) -> Seeds:
    """Of the cylinder of matter that passes the nozzle, each particle as it passes."""
    velocity = np.array(emitter.velocity, dtype=np.float64)
    speed = float(np.linalg.norm(velocity))
    if not speed > 0 or not emitter.radius > 0:
        raise ConfigurationError(f"matter '{name}': velocity and radius of an emitter must be above 0")
    seconds = max(min(emitter.stop, duration) - emitter.start, 0.0)
    points = np.zeros((0, 3))
    if seconds > 0:
        jet = Cylinder(radius=emitter.radius, half_height=seconds * speed / 2)
        points = _lattice(half_extent(jet, name), spacing, rng)
        points = points[inside(jet, points)]
    ahead = velocity / speed
    across = np.cross(ahead, np.eye(3)[np.abs(ahead).argmin()])
    across /= np.linalg.norm(across)
    disc = points[:, :1] * across + points[:, 1:2] * np.cross(ahead, across)
    return Seeds(
        positions=np.array(emitter.position) + disc,
        velocities=np.tile(velocity, (len(points), 1)),
        volumes=np.full(len(points), np.pi * emitter.radius**2 * speed * seconds / max(len(points), 1)),
        births=emitter.start + points[:, 2] / speed + seconds / 2,
    )
