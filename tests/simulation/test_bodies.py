"""Joints, drives, magnets, ropes, cloth and soft bodies against mechanics. Tolerances stand beside each claim."""

import math
from typing import Any

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Cloth, Description, Joint, Part, Rope, SoftBody, Thing
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Material, Sphere
from phys4d_kedro.simulation.rollout import Rollout
from phys4d_kedro.simulation.solvers.flexibles import cloth_lattice, force_of_air, soft_lattice, soft_volume
from phys4d_kedro.simulation.solvers.magnets import dipole_forces
from phys4d_kedro.simulation.solvers.model import GRAVITY
from phys4d_kedro.simulation.solvers.ropes import link_points
from phys4d_kedro.simulation.solvers.world import World

Array = NDArray[np.float64]


def stuff(density: float = 1000.0, friction: float = 0.5) -> Substance:
    return Substance(words="grey", density=density, friction=friction, restitution=0.5, material=Material())


def described(**parts: Any) -> Description:
    return Description(prompt="", centre=(0.0, 0.0, 0.5), radius=1.0, **parts)


def rolled(frames: int, fps: float, **parts: Any) -> Rollout:
    return roll_out(described(**parts), frames=frames, fps=fps)


def ball(name: str, radius: float, position: tuple[float, float, float], **fields: Any) -> Thing:
    return Thing(name=name, substance=stuff(), parts=[Part(shape=Sphere(radius=radius))], position=position, **fields)


class TestJoints:
    def test_period_of_a_pendulum(self) -> None:
        """A ball of radius r at distance l: T = 2 pi sqrt((l + 2 r^2 / 5 l) / g) for small swings; within 0.5 %."""
        length, radius, angle = 0.8, 0.1, math.radians(4)
        bob = ball(
            "bob",
            radius,
            (length * math.sin(angle), 0.0, 2 - length * math.cos(angle)),
            joint=Joint(kind="hinge", anchor=(0.0, 0.0, 2.0)),
        )
        x = rolled(2001, 500, things=[bob]).poses[:, 0, 0, 3]
        crossings = np.flatnonzero((x[:-1] > 0) & (x[1:] <= 0))
        measured = np.diff(crossings).mean() / 500
        expected = 2 * math.pi * math.sqrt((length + 0.4 * radius**2 / length) / GRAVITY)
        assert measured == pytest.approx(expected, rel=0.005)

    def test_a_double_pendulum_keeps_its_energy(self) -> None:
        """Within 2 % of the height it fell through, over two seconds without damping."""
        arms = [
            Thing(
                name=f"arm_{k}",
                substance=stuff(),
                parts=[Part(shape=Box(half_extents=(0.2, 0.02, 0.02)))],
                position=(0.2 + 0.4 * k, 0.1 * k, 2.0),
                joint=Joint(kind="hinge", anchor=(0.4 * k, 0.0, 2.0), to="arm_0" if k else None),
            )
            for k in range(2)
        ]
        world = World(described(things=arms))
        world.model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
        energies = []
        for step in range(0, 4000, 50):
            world.advance_to(step)
            mujoco.mj_forward(world.model, world.data)
            energies.append(world.data.energy.sum())
        exchanged = GRAVITY * 0.4 * world.model.body_mass.sum()
        assert np.ptp(energies) < 0.02 * exchanged

    def test_a_drive_follows_its_points_under_load(self) -> None:
        """A lift that carries a block rises as told, within 3 mm, and so does the block."""
        lift = Thing(
            name="lift",
            substance=stuff(),
            parts=[Part(shape=Box(half_extents=(0.2, 0.2, 0.02)))],
            position=(0.0, 0.0, 0.5),
            joint=Joint(kind="slide", anchor=(0, 0, 0), axis=(0, 0, 1), drive=((0, 0), (0.2, 0), (1.2, 0.4), (9, 0.4))),
        )
        block = Thing(
            name="block",
            substance=stuff(7000),
            parts=[Part(shape=Box(half_extents=(0.1, 0.1, 0.1)))],
            position=(0.0, 0.0, 0.6205),
        )
        z = rolled(15, 10, things=[lift, block]).poses[:, :, 2, 3]
        wanted = 0.5 + np.interp(np.arange(15) / 10 - 0.01, (0.2, 1.2), (0, 0.4))  # a servo lags by 2 / 200 s
        assert np.abs(z[:, 0] - wanted).max() < 3e-3
        assert np.abs(z[:, 1] - z[:, 0] - 0.12).max() < 5e-3

    def test_what_is_held_falls_when_it_is_let_go(self) -> None:
        z = rolled(9, 10, things=[ball("ball", 0.1, (0, 0, 3), held=0.4)]).poses[:, 0, 2, 3]
        fallen = GRAVITY / 2 * np.clip(np.arange(9) / 10 - 0.4, 0, None) ** 2
        assert np.abs(z - 3 + fallen).max() < 5e-3

    def test_a_joint_to_nothing_is_refused(self) -> None:
        lost = ball("ball", 0.1, (0, 0, 1), joint=Joint(kind="ball", anchor=(0, 0, 1), to="wall"))
        with pytest.raises(ConfigurationError, match="'wall'"):
            rolled(2, 10, things=[lost])


class TestMagnets:
    def test_two_dipoles_on_one_axis(self) -> None:
        """F = 3 mu m1 m2 / (2 pi r^4), attracting; opposite ones repel."""
        places = np.array([[0, 0, 0], [0.5, 0, 0]])
        force, torque = dipole_forces(places, np.array([[20.0, 0, 0], [30.0, 0, 0]]))
        expected = 3 * 4e-7 * np.pi * 600 / (2 * np.pi * 0.5**4)
        np.testing.assert_allclose(force, [[expected, 0, 0], [-expected, 0, 0]], rtol=1e-12)
        np.testing.assert_allclose(torque, 0, atol=1e-20)
        turned, _ = dipole_forces(places, np.array([[20.0, 0, 0], [-30.0, 0, 0]]))
        np.testing.assert_allclose(turned, -force, rtol=1e-12)

    def test_forces_and_torques_balance(self) -> None:
        """Momentum and angular momentum of any set of dipoles are kept."""
        rng = np.random.default_rng(0)
        places, moments = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
        force, torque = dipole_forces(places, moments)
        size = np.abs(force).max()
        assert np.abs(force.sum(axis=0)).max() < 1e-12 * size
        assert np.abs((torque + np.cross(places, force)).sum(axis=0)).max() < 1e-11 * size

    def test_the_force_is_the_gradient_of_the_energy(self) -> None:
        rng = np.random.default_rng(1)
        places, moments = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))

        def energy(second: Array) -> float:
            r = second - places[0]
            d = float(np.linalg.norm(r))
            field = 1e-7 * (3 * r * (moments[0] @ r) / d**5 - moments[0] / d**3)
            return float(-moments[1] @ field)

        steps = 1e-5 * np.eye(3)
        gradient = [(energy(places[1] + s) - energy(places[1] - s)) / 2e-5 for s in steps]
        np.testing.assert_allclose(dipole_forces(places, moments)[0][1], -np.array(gradient), rtol=1e-5)

    def test_magnets_fall_together(self) -> None:
        """Two balls in free fall attract each other; their common centre falls on its parabola within 2 mm."""
        pair = [ball(f"{k}", 0.05, (0.3 * k, 0.0, 3.0), magnet=(60.0, 0.0, 0.0)) for k in range(2)]
        places = rolled(6, 20, things=pair).poses[:, :, :3, 3]
        apart = places[:, 1, 0] - places[:, 0, 0]
        assert (np.diff(apart) < 0).all()
        t = np.arange(6) / 20
        middle = places.mean(axis=1) - [0.15, 0, 3]
        np.testing.assert_allclose(middle[:, 2], -GRAVITY / 2 * t**2, atol=2e-3)
        np.testing.assert_allclose(middle[:, :2], 0, atol=1e-6)


class TestRopes:
    def test_catenary(self) -> None:
        """A rope of length L between points d apart hangs as a catenary: its depth within 2 % of the closed form."""
        span, length = 0.8, 1.1
        depth = math.sqrt((length / 2) ** 2 - (span / 2) ** 2)  # it starts as a V and settles
        rope = Rope(
            name="rope",
            substance=stuff(),
            points=[(-span / 2, 0, 1.5), (0, 0, 1.5 - depth), (span / 2, 0, 1.5)],
            radius=0.01,
            segment=0.04,
            start="world",
            end="world",
        )
        world = World(described(ropes=[rope]))
        world.model.dof_damping[:] = 2e-3
        world.advance_to(16000)
        links = world.rope_poses()[0]
        ends = links[:, :3, 3]
        low, high = 0.01, 10.0  # a: 2 a sinh(d / 2a) = L
        for _ in range(80):
            a = (low + high) / 2
            low, high = (a, high) if 2 * a * math.sinh(span / 2 / a) > length else (low, a)
        assert 1.5 - ends[:, 2].min() == pytest.approx(a * (math.cosh(span / 2 / a) - 1), rel=0.02)
        expected = 1.5 - a * math.cosh(span / 2 / a) + a * np.cosh(ends[:, 0] / a)
        assert np.abs(ends[:, 2] - expected).max() < 0.01

    def test_links_keep_their_length_and_ends_their_places(self) -> None:
        weight = ball("weight", 0.08, (0.7, 0.0, 1.42))
        rope = Rope(
            name="rope",
            substance=stuff(),
            points=[(0, 0, 1.5), (0.7, 0, 1.5)],
            radius=0.01,
            start="world",
            end="weight",
        )
        world = World(described(things=[weight], ropes=[rope]))
        length = np.linalg.norm(np.diff(link_points(rope), axis=0), axis=1)
        for step in (500, 1500, 3000):
            world.advance_to(step)
            links = world.rope_poses()[0]
            gaps = np.linalg.norm(np.diff(links[:, :3, 3], axis=0), axis=1)
            np.testing.assert_allclose(gaps, length[:-1], rtol=1e-6)
            end = links[-1, :3, 3] + length[-1] * links[-1, :3, 2]
            knot = world.thing_poses()[0] @ [0, 0, 0.08, 1]
            assert np.linalg.norm(end - knot[:3]) < 0.01
        np.testing.assert_allclose(links[0, :3, 3], (0, 0, 1.5), atol=1e-9)

    def test_a_cut_rope_falls_freely(self) -> None:
        rope = Rope(name="rope", substance=stuff(), points=[(-0.4, 0, 2), (0.4, 0, 2)], radius=0.02)
        seen = rolled(6, 10, ropes=[rope]).surfaces[0].surface
        heights = [vertices[:, 2].mean() for vertices in seen.vertices]
        np.testing.assert_allclose(heights, 2 - GRAVITY / 2 * (np.arange(6) / 10) ** 2, atol=3e-3)

    @pytest.mark.parametrize("chain", [False, True])
    def test_what_is_seen_is_closed(self, chain: bool) -> None:
        rope = Rope(
            name="r", substance=stuff(), points=[(0, 0, 1), (0.3, 0, 1)], radius=0.02, start="world", chain=chain
        )
        surface = rolled(2, 10, ropes=[rope]).surfaces[0].surface
        faces = surface.faces[0]
        edges = {(int(a), int(b)) for f in faces for a, b in zip(f, np.roll(f, -1), strict=True)}
        assert len(edges) == 3 * len(faces)
        assert all((b, a) in edges for a, b in edges)
        corners = surface.vertices[0][faces].astype(float)
        volume = np.linalg.det(corners).sum() / 6
        assert volume > 0
        if not chain:
            assert volume == pytest.approx(math.pi * 0.02**2 * 0.3, rel=0.15)


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
