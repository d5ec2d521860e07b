"""Joints, drives, magnets, ropes, cloth and soft bodies against mechanics. Tolerances stand beside each claim."""

import math

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Joint, Part, Rope, Thing
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.magnets import dipole_forces
from phys4d_kedro.simulation.solvers.ropes import link_points
from phys4d_kedro.simulation.solvers.world import World

from .bodies import ball, described, rolled, stuff

Array = NDArray[np.float64]


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

    @pytest.mark.parametrize("ends", [{"start": "wall"}, {"end": "wall"}])
    def test_a_rope_tied_to_nothing_is_refused(self, ends: dict[str, str]) -> None:
        rope = Rope(name="rope", substance=stuff(), points=[(0, 0, 1), (0.3, 0, 1)], radius=0.02, **ends)
        with pytest.raises(ConfigurationError, match="'wall'"):
            rolled(2, 10, ropes=[rope])


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
