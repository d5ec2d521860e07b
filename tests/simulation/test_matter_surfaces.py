"""Surfaces of particles: closed, of the right volume, moving as the particles do."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.simulation.description import Matter, Part
from phys4d_kedro.simulation.rendering.scene import Box, Material
from phys4d_kedro.simulation.solvers.matter import MatterSimulation
from phys4d_kedro.simulation.solvers.matter_surfaces import grain_surface, liquid_surface


def volume_inside(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> float:
    """By the divergence theorem; positive when faces look outwards."""
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def is_closed(faces: NDArray[np.int32]) -> bool:
    """Every edge is passed once in each direction."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there, back = {tuple(edge) for edge in edges}, {tuple(edge) for edge in edges[:, ::-1]}
    return len(there) == len(edges) and there == back


def lattice(counts: tuple[int, int, int], distance: float) -> NDArray[np.float32]:
    axes = [(np.arange(count) + 0.5) * distance for count in counts]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)


@pytest.mark.parametrize("counts", [(16, 16, 16), (24, 24, 7)])
def test_the_skin_of_a_block_is_closed_and_holds_its_volume(counts: tuple[int, int, int]) -> None:
    points = lattice(counts, 0.0137)
    surface = liquid_surface([points], [np.ones(len(points), bool)], distance=0.0137)
    assert is_closed(surface.faces[0])
    assert volume_inside(surface.vertices[0], surface.faces[0]) == pytest.approx(len(points) * 0.0137**3, rel=0.1)
    assert surface.vertices[0].min(axis=0) == pytest.approx(0, abs=0.0137 / 2)


def test_the_skin_of_settled_water_holds_the_volume_that_was_poured() -> None:
    half, depth, spacing = 0.12, 0.12, 0.03
    block = Part(shape=Box(half_extents=(half, half, depth / 2)), position=(0.0, 0.0, depth / 2))
    water = Matter(name="water", words="water", kind="liquid", material=Material(), blocks=[block])
    upper = (half, half, 0.4)
    simulation = MatterSimulation(
        [water], [], lower=(-half, -half, 0.0), upper=upper, spacing=spacing, duration=1.0, seed=0
    )
    nothing = np.zeros((0, 4, 4)), np.zeros((0, 6))
    for _ in range(40):
        simulation.step(simulation.timestep, *nothing)
    surface = liquid_surface(simulation.positions(), simulation.active(), distance=spacing / 2)
    assert volume_inside(surface.vertices[0], surface.faces[0]) == pytest.approx(4 * half**2 * depth, rel=0.1)


def test_vertices_are_carried_by_the_particles_around_them() -> None:
    points = lattice((8, 8, 8), 0.01)
    shift = np.array([0.004, -0.002, 0.001], dtype=np.float32)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
    here = np.ones(len(points), bool)
    moved = liquid_surface([points, points + shift], [here, here], distance=0.01)
    assert moved.moved is not None
    assert moved.moved[0] - moved.vertices[0] == pytest.approx(np.tile(shift, (len(moved.vertices[0]), 1)), abs=1e-6)
    turned = liquid_surface([points, points @ (0.02 * turn + np.eye(3, dtype=np.float32))], [here, here], distance=0.01)
    assert turned.moved is not None
    exact = turned.vertices[0] @ (0.02 * turn)
    assert np.abs(turned.moved[0] - turned.vertices[0] - exact).max() < 0.02 * 0.01


def test_a_frame_without_liquid_is_an_empty_mesh_and_what_ends_does_not_move() -> None:
    points = lattice((4, 4, 4), 0.01)
    none, every = np.zeros(len(points), bool), np.ones(len(points), bool)
    surface = liquid_surface([points, points, points + 1], [none, every, none], distance=0.01)
    assert [len(vertices) > 0 for vertices in surface.vertices] == [False, True, False]
    assert [faces.shape[1] for faces in surface.faces] == [3, 3, 3]
    assert surface.moved is not None
    assert (surface.moved[1] == surface.vertices[1]).all()


def test_skins_are_the_same_bytes_every_time() -> None:
    points = np.random.default_rng(0).uniform(0, 0.1, (500, 3)).astype(np.float32)
    first, second = (liquid_surface([points], [np.ones(500, bool)], distance=0.01) for _ in range(2))
    assert first.vertices[0].tobytes() == second.vertices[0].tobytes()
    assert first.faces[0].tobytes() == second.faces[0].tobytes()


def test_grains_are_closed_pebbles_that_follow_their_particles() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (50, 3)).astype(np.float32)
    later = points + rng.uniform(0, 0.1, (50, 3)).astype(np.float32)
    here, there = np.ones(50, bool), np.arange(50) > 9
    surface = grain_surface([points, later, later], [there, here, there], radius=0.02, seed=3)
    assert [vertices.shape for vertices in surface.vertices] == [(300, 3)] * 3
    pebbles = surface.vertices[1].reshape(50, 6, 3)
    assert pebbles.mean(axis=1) == pytest.approx(later, abs=1e-6)
    size = np.linalg.norm(pebbles - later[:, None], axis=2)
    assert size.min() > 0.69 * 0.02
    assert size.max() < 1.31 * 0.02
    for grain in range(50):
        faces = surface.faces[1][8 * grain : 8 * grain + 8]
        assert is_closed(faces)
        assert volume_inside(surface.vertices[1] - np.repeat(later, 6, axis=0), faces) > 0
    step = surface.vertices[1].reshape(50, 6, 3)[10:] - surface.vertices[0].reshape(50, 6, 3)[10:]
    assert step == pytest.approx(np.repeat((later - points)[10:, None], 6, axis=1), abs=1e-6)
    away = surface.vertices[0].reshape(50, 6, 3)[:10]
    assert (away == away[:1, :1]).all()
    assert away[..., 2].max() < -100
    assert surface.rest is not None
    assert surface.rest[:60] == pytest.approx(surface.vertices[1][:60], abs=1e-6)
    assert surface.rest[60:] == pytest.approx(surface.vertices[0][60:], abs=1e-6)
