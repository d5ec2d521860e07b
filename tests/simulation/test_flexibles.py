"""Cloth and soft bodies against mechanics. Tolerances stand beside each claim."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.simulation.description import Cloth, Part, SoftBody, Thing
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.flexibles import cloth_lattice, force_of_air, soft_lattice, soft_volume
from phys4d_kedro.simulation.solvers.world import World

from .bodies import ball, described, rolled, stuff

Array = NDArray[np.float64]


class TestCloth:
    def edges(self, cloth: Cloth, vertices: Array) -> Array:
        faces = cloth_lattice(cloth)[1]
        pairs = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1), axis=0)
        return np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)

    def test_cloth_does_not_stretch(self) -> None:
        """Over a ball, no edge is more than 3 % longer than at rest, and none lies below the ground or in the ball."""
        cloth = Cloth(name="cloth", substance=stuff(), size=(0.6, 0.6), cells=(10, 10), position=(0, 0, 0.45))
        under = ball("ball", 0.15, (0, 0, 0.15), fixed=True)
        world = World(described(things=[under], cloths=[cloth]))
        world.advance_to(1200)
        now = world.flex_vertices()[0]
        assert (self.edges(cloth, now) / self.edges(cloth, cloth_lattice(cloth)[0])).max() < 1.03
        assert now[:, 2].min() > -1e-3
        assert np.linalg.norm(now - (0, 0, 0.15), axis=1).min() > 0.148
        assert now[:, 2].max() == pytest.approx(0.306, abs=0.01)

    def test_pinned_cloth_hangs(self) -> None:
        cells = 8
        cloth = Cloth(
            name="cloth",
            substance=stuff(),
            size=(0.4, 0.4),
            cells=(cells, cells),
            position=(0, 0, 1),
            pinned=[(k, 0) for k in range(cells + 1)],
        )
        surface = rolled(17, 8, cloths=[cloth]).surfaces[0].surface
        first, last = surface.vertices[0], surface.vertices[-1]
        np.testing.assert_allclose(last[: cells + 1], first[: cells + 1], atol=1e-6)
        assert last[:, 2].min() < 0.75
        assert np.linalg.norm(last[-1] - last[cells]) <= 0.42

    def test_air_drags_flat_cloth(self) -> None:
        """Across the air at 3 m/s: rho C A v^2 / 2; along it: nothing; a wind that blows past it: as if it moved."""
        cloth = Cloth(name="cloth", substance=stuff(), size=(0.4, 0.3), cells=(6, 6), position=(0, 0, 4))
        still, _ = cloth_lattice(cloth)
        falling = np.broadcast_to([0.0, 0.0, -3.0], still.shape)
        force = force_of_air(cloth, still, falling, 0.0).sum(axis=0)
        np.testing.assert_allclose(force, [0, 0, 0.5 * 1.2 * 1.1 * 0.12 * 9], atol=1e-12)
        sliding = np.broadcast_to([3.0, 0.0, 0.0], still.shape)
        np.testing.assert_allclose(force_of_air(cloth, still, sliding, 0.0), 0, atol=1e-12)

    def test_air_brakes_falling_cloth(self) -> None:
        """In half a second it falls less far than in a vacuum."""
        cloth = Cloth(name="cloth", substance=stuff(), size=(0.4, 0.4), cells=(6, 6), position=(0, 0, 4), weight=0.1)
        surface = rolled(6, 10, cloths=[cloth]).surfaces[0].surface
        fallen = 4 - surface.vertices[5][:, 2].mean()
        assert 0.3 < fallen < 0.85 * GRAVITY / 2 * 0.25


class TestSoftBodies:
    def test_compression_under_its_own_weight(self) -> None:
        """A block of height h shortens by rho g h^2 / 2 E (2.9 mm here), within 25 %."""
        body = SoftBody(
            name="s", substance=stuff(), size=(0.3, 0.3, 0.3), cells=(4, 4, 4), position=(0, 0, 0.155), young=1.5e5,
            poisson=0.0, damping=0.02,
        )  # fmt: skip
        world = World(described(soft_bodies=[body]))
        world.advance_to(1500)
        z = world.flex_vertices()[0][:, 2]
        assert 0.3 - (z.max() - z.min()) == pytest.approx(1000 * GRAVITY * 0.09 / (2 * 1.5e5), rel=0.25)

    def test_it_falls_freely_and_keeps_its_volume(self) -> None:
        body = SoftBody(
            name="s", substance=stuff(), size=(0.3, 0.3, 0.3), cells=(4, 4, 4), position=(0, 0, 0.7), rounded=True
        )
        world = World(described(soft_bodies=[body]))
        world.advance_to(300)
        now = world.flex_vertices()[0]
        assert now[:, 2].mean() == pytest.approx(0.7 - GRAVITY / 2 * 0.3**2, abs=2e-3)
        a, b, c, d = now[soft_lattice(body)[1]].swapaxes(0, 1)
        assert np.linalg.det(np.stack([b - a, c - a, d - a], 1)).sum() / 6 == pytest.approx(soft_volume(body), rel=1e-3)

    def test_lattice_of_a_ball(self) -> None:
        """Tetrahedra fill the ball as far as so few can: 4 x 4 x 4 cells 0.93 of it; all have a positive volume."""
        body = SoftBody(name="s", substance=stuff(), size=(2, 2, 2), cells=(4, 4, 4), position=(0, 0, 0), rounded=True)
        a, b, c, d = soft_lattice(body)[0][soft_lattice(body)[1]].swapaxes(0, 1)
        assert np.linalg.det(np.stack([b - a, c - a, d - a], 1)).min() > 0
        assert 0.9 < soft_volume(body) / (4 / 3 * math.pi) < 1

    def test_a_weight_on_a_cylinder_of_foam_sinks_in(self) -> None:
        foam = SoftBody(
            name="f", substance=stuff(300), size=(0.4, 0.4, 0.2), cells=(4, 4, 3), position=(0, 0, 0.105), young=4e4
        )
        weight = Thing(
            name="w",
            substance=stuff(3000),
            parts=[Part(shape=Cylinder(radius=0.08, half_height=0.08))],
            position=(0, 0, 0.3),
        )
        z = rolled(13, 8, things=[weight], soft_bodies=[foam]).poses[:, 0, 2, 3]
        assert 0.18 < z[-1] < 0.285  # it would stand at 0.285 on a hard block
        assert np.ptp(z[-3:]) < 0.01
