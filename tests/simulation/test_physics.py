"""The solver against mechanics: fall, restitution, momentum, rolling, friction, energy, stacks, and what it refuses."""

import math
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.bad_draws import BadDrawError
from phys4d_kedro.simulation.description import Description, Part, Thing, Vector, rotation_matrix
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Draw, Substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Material, Mesh, Shape, Sphere
from phys4d_kedro.simulation.scenes import SCENES
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.contacts import damping_ratio
from phys4d_kedro.simulation.solvers.model import RIGID_TIMESTEP, build_model

Array = NDArray[np.float64]
SLIPPERY = 1e-6


def thing(
    shape: Shape,
    position: Vector,
    *,
    velocity: Vector = (0.0, 0.0, 0.0),
    spin: Vector = (0.0, 0.0, 0.0),
    rotation: Vector = (0.0, 0.0, 0.0),
    restitution: float = 0.5,
    friction: float = 0.5,
    density: float = 1000.0,
    fixed: bool = False,
) -> Thing:
    """A thing of one shape."""
    substance = Substance(
        words="grey stuff", density=density, friction=friction, restitution=restitution, material=Material()
    )
    return Thing(
        name="thing",
        substance=substance,
        parts=[Part(shape=shape)],
        position=position,
        rotation=rotation,
        velocity=velocity,
        spin=spin,
        fixed=fixed,
    )


def positions(things: Sequence[Thing], *, frames: int, fps: float) -> Array:
    """Where things of one part each are: (frames, things, 3)."""
    description = Description(things=things, prompt="", centre=(0.0, 0.0, 0.0), radius=1.0)
    return roll_out(description, frames=frames, fps=fps).poses[:, :, :3, 3]


def test_free_fall() -> None:
    # Started fast and turning, so that the parabola does not depend on either.
    ball = thing(Sphere(radius=0.1), (0.0, 0.0, 3.0), velocity=(0.7, -0.4, 1.0), spin=(3.0, 5.0, -2.0))
    path = positions([ball], frames=17, fps=25)[:, 0]
    t = np.arange(17)[:, None] / 25
    expected = [0.0, 0.0, 3.0] + np.array([0.7, -0.4, 1.0]) * t - np.array([0.0, 0.0, GRAVITY / 2]) * t**2
    # Each step falls with the speed of its end, so half a step's gain too far: at most 1.6 mm here.
    assert (np.abs(path - expected) <= GRAVITY * t * RIGID_TIMESTEP / 2 + 1e-6).all()


def test_spin_is_about_axes_of_the_world() -> None:
    box = thing(Box(half_extents=(0.1, 0.1, 0.1)), (0, 0, 9), rotation=(50.0, 20.0, 10.0), spin=(0.0, 0.0, math.pi))
    description = Description(things=[box], prompt="", centre=(0.0, 0.0, 0.0), radius=1.0)
    rotation = roll_out(description, frames=2, fps=2).poses[:, 0, :3, :3]
    assert np.allclose(rotation[1] @ rotation[0].T, rotation_matrix((0.0, 0.0, 90.0)), atol=1e-3)


class TestRestitution:
    def thrown_back(self, restitution: float, height: float) -> float:
        """Speed after a drop over speed before it."""
        ball = thing(Sphere(radius=0.1), (0.0, 0.0, 0.1 + height), restitution=restitution)
        speed = np.diff(positions([ball], frames=1001, fps=2000)[:, 0, 2])
        return float(speed.max() / -speed.min())

    @pytest.mark.parametrize("restitution", [0.3, 0.45, 0.6, 0.75, 0.9])
    def test_drops_bounce_as_asked(self, restitution: float) -> None:
        # A contact lasts about eight steps, and where in a step it begins decides the rest.
        measured = [self.thrown_back(restitution, height) for height in 0.3 + 0.3 * (0.618 * np.arange(16) % 1)]
        assert np.mean(measured) == pytest.approx(restitution, abs=0.035)
        assert measured == pytest.approx([restitution] * 16, abs=0.1)

    def test_does_not_depend_on_speed_or_mass(self) -> None:
        # Density cancels: same drop, same bounce.
        light, heavy = (
            thing(Sphere(radius=0.1), (x, 0.0, 0.6), density=density) for x, density in ((0, 50), (1, 9000))
        )
        path = positions([light, heavy], frames=101, fps=100)[..., 2]
        assert np.abs(path[:, 0] - path[:, 1]).max() < 1e-6
        fast = np.mean([self.thrown_back(0.6, height) for height in np.linspace(0.8, 1.0, 8)])
        slow = np.mean([self.thrown_back(0.6, height) for height in np.linspace(0.1, 0.15, 8)])
        assert fast == pytest.approx(slow, abs=0.05)

    def test_damping_ratio_inverts_the_formula(self) -> None:
        for wanted in (0.2, 0.5, 0.8, 0.99):
            z = damping_ratio(wanted)
            s = math.sqrt(1 - z**2)
            assert math.exp(-2 * z / s * math.atan(s / z)) == pytest.approx(wanted, abs=1e-6)
        assert damping_ratio(0.0) < 1
        assert damping_ratio(1.0) == pytest.approx(0, abs=1e-6)


class TestCollision:
    def collide(self, restitution: float, offset: float, density: float) -> tuple[Array, Array, Array]:
        """Masses (2,), and velocities (2, 3) before and after a slippery ball hits another of `density`."""
        radius = 0.1
        moving = thing(
            Sphere(radius=radius),
            (-0.5, 0.0, radius),
            velocity=(1.0, 0.2, 0.0),
            restitution=restitution,
            friction=SLIPPERY,
        )
        resting = thing(
            Sphere(radius=radius),
            (0.0, 0.1 + offset, radius),
            restitution=restitution,
            friction=SLIPPERY,
            density=density,
        )
        path = positions([moving, resting], frames=801, fps=1000)
        return np.array([1000, density]), (path[100] - path[0]) / 0.1, (path[-1] - path[-101]) / 0.1

    @pytest.mark.parametrize("restitution", [0.4, 0.8])
    @pytest.mark.parametrize(("offset", "density"), [(0.0, 1000.0), (0.08, 3000.0)])
    def test_momentum_is_kept(self, restitution: float, offset: float, density: float) -> None:
        masses, before, after = self.collide(restitution, offset, density)
        lost = masses @ (after - before)
        assert np.abs(before[1]).max() < 1e-4
        assert np.linalg.norm(after[1]) > 0.1
        assert np.linalg.norm(lost) < 1e-3 * np.linalg.norm(masses @ before)

    @pytest.mark.parametrize("restitution", [0.4, 0.6, 0.8])
    def test_speed_of_parting(self, restitution: float) -> None:
        ball = {"restitution": restitution, "friction": SLIPPERY}
        parting = []
        for gap in np.linspace(0.2, 0.201, 6):
            moving = thing(Sphere(radius=0.1), (-0.2 - gap, 0.0, 0.1), velocity=(1.0, 0.0, 0.0), **ball)
            path = positions([moving, thing(Sphere(radius=0.1), (0.0, 0.0, 0.1), **ball)], frames=501, fps=1000)
            parting.append((path[-1, 1, 0] - path[-1, 0, 0] - path[-101, 1, 0] + path[-101, 0, 0]) / 0.1)
        assert np.mean(parting) == pytest.approx(restitution, abs=0.04)

    def test_equal_elastic_balls_exchange_velocities(self) -> None:
        ball = {"restitution": 1.0, "friction": SLIPPERY}
        moving = thing(Sphere(radius=0.1), (-0.5, 0.0, 0.1), velocity=(1.0, 0.0, 0.0), **ball)
        path = positions([moving, thing(Sphere(radius=0.1), (0.0, 0.0, 0.1), **ball)], frames=801, fps=1000)
        assert (path[-1] - path[-101])[:, 0] / 0.1 == pytest.approx([0, 1], abs=0.02)


class TestSlope:
    ANGLE = 20.0

    def slide(self, shape: Shape, lift: float, friction: float, seconds: float) -> Array:
        """Distance run down a slope of ANGLE at 100 frames a second, from rest; and in which `friction` holds."""
        a = math.radians(self.ANGLE)
        up, along = np.array([math.sin(a), 0, math.cos(a)]), np.array([math.cos(a), 0, -math.sin(a)])
        centre = np.array([0.0, 0.0, 4.0])
        slope = thing(
            Box(half_extents=(4.0, 1.0, 0.05)),
            tuple(centre),
            rotation=(0.0, self.ANGLE, 0.0),
            friction=friction,
            fixed=True,
        )
        start = centre + (0.05 + lift + 1e-5) * up - 3 * along
        body = thing(shape, tuple(start), rotation=(0.0, self.ANGLE, 0.0), friction=friction, restitution=0.2)
        path = positions([slope, body], frames=round(seconds * 100) + 1, fps=100)[:, 1]
        return (path - path[0]) @ along

    def test_ball_rolls_at_five_sevenths(self) -> None:
        run = self.slide(Sphere(radius=0.1), 0.1, friction=0.6, seconds=1.0)
        expected = 0.5 * (5 / 7 * GRAVITY * math.sin(math.radians(self.ANGLE)))
        assert run[-1] == pytest.approx(expected, rel=0.01)

    def test_cylinder_rolls_at_two_thirds(self) -> None:
        a = math.radians(self.ANGLE)
        up, along = np.array([math.sin(a), 0, math.cos(a)]), np.array([math.cos(a), 0, -math.sin(a)])
        slope = thing(Box(half_extents=(4.0, 1.0, 0.05)), (0.0, 0.0, 4.0), rotation=(0.0, self.ANGLE, 0.0), fixed=True)
        start = [0, 0, 4] + (0.15 + 1e-5) * up - 3 * along
        roll = thing(Cylinder(radius=0.1, half_height=0.2), tuple(start), rotation=(90.0, 0.0, 0.0))
        path = positions([slope, roll], frames=101, fps=100)[:, 1]
        expected = 0.5 * (2 / 3 * GRAVITY * math.sin(a))
        assert (path[-1] - path[0]) @ along == pytest.approx(expected, rel=0.02)

    def test_block_stays_below_the_angle_of_friction(self) -> None:
        friction = 1.1 * math.tan(math.radians(self.ANGLE))
        run = self.slide(Box(half_extents=(0.2, 0.2, 0.05)), 0.05, friction, seconds=1.0)
        assert abs(run[-1]) < 0.01

    @pytest.mark.parametrize("share", [0.3, 0.8])
    def test_block_slides_above_it(self, share: float) -> None:
        a = math.radians(self.ANGLE)
        friction = share * math.tan(a)
        run = self.slide(Box(half_extents=(0.2, 0.2, 0.05)), 0.05, friction, seconds=1.0)
        expected = 0.5 * GRAVITY * (math.sin(a) - friction * math.cos(a))
        assert run[-1] == pytest.approx(expected, rel=0.03)


def energies(description: Description, *, seconds: float) -> Array:
    """Kinetic and potential energy (J) of what moves, every 5 ms, from a rollout's poses by finite differences."""
    model = build_model(description)
    poses = roll_out(description, frames=round(seconds * 200) + 1, fps=200).poses
    total = np.zeros(len(poses) - 1)
    first = 0
    for index, each in enumerate(description.things):
        pose, first = poses[:, first], first + len(each.parts)
        if each.fixed:
            continue
        body = model.body(str(index))
        inertia = body.inertia
        velocity = np.diff(pose[:, :3, 3], axis=0) * 200
        turn = np.einsum("tji,tjk->tik", pose[:-1, :3, :3], pose[1:, :3, :3])
        spin = np.empty((len(turn), 3))
        for t, matrix in enumerate(turn):
            quaternion = np.empty(4)
            mujoco.mju_mat2Quat(quaternion, matrix.ravel())
            mujoco.mju_quat2Vel(spin[t], quaternion, 1 / 200)
        middle = (pose[1:, 2, 3] + pose[:-1, 2, 3]) / 2
        mass = float(body.mass[0])
        total += mass * ((velocity**2).sum(1) / 2 + GRAVITY * middle) + (inertia * spin**2).sum(1) / 2
    return total


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if scene.category == "rigid_bodies"])
def test_energy_never_grows(name: str) -> None:
    for seed in range(2):
        description = SCENES[name].declare(Draw(np.random.default_rng(seed)))
        energy = energies(description, seconds=1.5)
        scale = energy.max() - energy.min() + 0.05 * abs(energy[0])
        # While a contact presses (4 ms) it holds energy that is not counted here: look at the most in 30 ms.
        most = np.lib.stride_tricks.sliding_window_view(energy, 6).max(-1)
        assert (most - np.minimum.accumulate(most)).max() < 0.02 * scale, seed


@pytest.mark.parametrize("seed", range(4))
def test_stable_blocks_stand_and_unstable_ones_fall(seed: int) -> None:
    def furthest(name: str) -> tuple[float, float]:
        description = SCENES[name].declare(Draw(np.random.default_rng(seed)))
        path = roll_out(description, frames=17, fps=8).poses[:, :, :3, 3]
        return float(np.linalg.norm(path - path[0], axis=-1).max()), float(path[-1, -1, 2] / path[0, -1, 2])

    moved, _ = furthest("stable_blocks")
    assert moved < 0.01
    moved, height = furthest("unstable_block_stack")
    assert moved > 0.1
    assert height < 0.8  # of the topmost block, of its height at the start


def test_nudge_moves_what_moves() -> None:
    description = SCENES["ball_ramp"].declare(Draw(np.random.default_rng(0)))
    nudge = np.array([[0.3, 0.3, 0.3], [0.02, 0.01, 0.04]])
    poses, moved = (roll_out(description, frames=1, fps=8, nudge=each).poses for each in (None, nudge))
    assert np.allclose(moved[0, :, :3, 3] - poses[0, :, :3, 3], [[0, 0, 0], nudge[1]])


def test_overlap_at_the_start_is_a_bad_draw() -> None:
    near = [thing(Sphere(radius=0.1), (x, 0.0, 0.1)) for x in (0.0, 0.19)]
    with pytest.raises(BadDrawError, match="overlap at the start by 10 mm"):
        positions(near, frames=5, fps=8)
    with pytest.raises(BadDrawError, match="overlap"):
        positions([thing(Sphere(radius=0.1), (0.0, 0.0, 0.05))], frames=5, fps=8)


@pytest.mark.parametrize("velocity", [1e11, 1e300])
def test_a_solver_that_fails_is_a_bad_draw(velocity: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadDrawError, match="unstable"):
        positions([thing(Sphere(radius=0.1), (0.0, 0.0, 0.5), velocity=(0.0, 0.0, -velocity))], frames=5, fps=8)
    assert list(tmp_path.iterdir()) == []  # MuJoCo's own log file


def test_shapes_without_physics_are_named() -> None:
    mesh = Mesh(vertices=np.eye(3, dtype=np.float32), faces=np.array([[0, 1, 2]], np.int32))
    with pytest.raises(ConfigurationError, match="a Mesh cannot collide"):
        positions([thing(mesh, (0.0, 0.0, 1.0))], frames=5, fps=8)
