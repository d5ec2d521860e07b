"""The particle solver against mechanics: what is conserved, and what has a formula. Tolerances are stated per test."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Emitter, Matter, Part, Vector
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Material, Plane, Shape, Sphere
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.matter import Collider, MatterSimulation

WATER = 1000.0


def block(half: Vector, position: Vector) -> Part:
    return Part(shape=Box(half_extents=half), position=position)


def matter(*blocks: Part, kind: Any = "liquid", **attributes: Any) -> Matter:
    return Matter(name="stuff", words="stuff", kind=kind, material=Material(), blocks=blocks, **attributes)


def tub(half: float, height: float, wall: float) -> Collider:
    """Open box with its inner floor at z = `wall`, all its walls so thick."""
    outer, middle = half + wall, wall + height / 2
    sides = [block((wall / 2, outer, height / 2), (sign * (half + wall / 2), 0.0, middle)) for sign in (-1, 1)]
    ends = [block((half, wall / 2, height / 2), (0.0, sign * (half + wall / 2), middle)) for sign in (-1, 1)]
    floor = block((outer, outer, wall / 2), (0.0, 0.0, wall / 2))
    return Collider(parts=[floor, *sides, *ends], friction=0.5, container=True)


def simulate(stuff: Sequence[Matter], colliders: Sequence[Collider] = (), **changes: Any) -> MatterSimulation:
    domain: dict[str, Any] = {"lower": (-0.5, -0.5, 0.0), "upper": (0.5, 0.5, 0.5), "spacing": 0.04, "duration": 2.0}
    return MatterSimulation(stuff, colliders, **(domain | {"seed": 0} | changes))


def run(
    simulation: MatterSimulation, seconds: float, places: Sequence[Vector] = (), velocities: Sequence[Vector] = ()
) -> NDArray[np.float64]:
    """Impulses (N, C, 6) of the steps of `seconds`; the bodies move at constant velocity, or not at all."""
    steps = int(np.ceil(seconds / simulation.timestep))
    poses, speeds = np.tile(np.eye(4), (len(places), 1, 1)), np.zeros((len(places), 6))
    poses[:, :3, 3] = np.reshape(places, (-1, 3))
    if velocities:
        speeds[:, :3] = velocities
    impulses = []
    for _ in range(steps):
        impulses.append(simulation.step(seconds / steps, poses, speeds))
        poses[:, :3, 3] += speeds[:, :3] * seconds / steps
    return np.array(impulses)


def submerged(shape: Shape, half: float = 0.15) -> tuple[float, float]:
    """Upward force on a body held in water and that on its tub (N, means of 0.4 s); the body comes down into it."""
    spacing, wall, depth = 0.03, 0.06, 0.24
    water = matter(block((half, half, depth / 2), (0.0, 0.0, wall + depth / 2)))
    bodies = [tub(half, 0.4, wall), Collider(parts=[Part(shape=shape)], friction=0.5)]
    simulation = simulate([water], bodies, lower=(-0.3, -0.3, 0.0), upper=(0.3, 0.3, 0.5), spacing=spacing)
    place = wall + 0.14
    run(simulation, 0.25, [(0, 0, 0), (0.003, -0.004, place + 0.2)], [(0, 0, 0), (0, 0, -0.8)])
    run(simulation, 0.3, [(0, 0, 0), (0.003, -0.004, place)])
    impulses = run(simulation, 0.4, [(0, 0, 0), (0.003, -0.004, place)])
    return impulses[:, 1, 2].sum() / 0.4, impulses[:, 0, 2].sum() / 0.4


@pytest.mark.parametrize("kind", ["liquid", "granular", "elastic"])
def test_free_fall_follows_the_parabola_and_changes_no_other_momentum(kind: str) -> None:
    simulation = simulate([matter(block((0.1, 0.1, 0.1), (0.0, 0.0, 0.35)), kind=kind)])
    start = simulation.positions()[0].mean(axis=0)
    run(simulation, 0.15)
    moved, velocity = simulation.positions()[0].mean(axis=0) - start, simulation.velocities()[0].mean(axis=0)
    assert velocity == pytest.approx([0, 0, -GRAVITY * 0.15], abs=2e-4)
    # Symplectic Euler falls by g t dt / 2 more.
    assert moved == pytest.approx([0, 0, -GRAVITY * 0.15**2 / 2], abs=GRAVITY * 0.15 * simulation.timestep / 2 + 1e-4)


@pytest.mark.parametrize("half", [0.12, 0.1])
def test_water_at_rest_keeps_its_level_and_weighs_on_the_floor(half: float) -> None:
    """0.1: no wall lies on the grid's planes. Weight within 5 %, level within a cell, its volume within 10 %."""
    wall, depth, spacing = 0.06, 0.16, 0.03
    water = matter(block((half, half, depth / 2), (0.0, 0.0, wall + depth / 2)))
    bodies = [tub(half, 0.3, wall)]
    simulation = simulate([water], bodies, lower=(-0.3, -0.3, 0.0), upper=(0.3, 0.3, 0.4), spacing=spacing)
    run(simulation, 0.4, [(0, 0, 0)])
    force = -run(simulation, 0.4, [(0, 0, 0)])[:, 0].sum(axis=0) / 0.4
    z = simulation.positions()[0][:, 2] - wall
    weight = WATER * GRAVITY * (2 * half) ** 2 * depth
    assert force[2] == pytest.approx(weight, rel=0.05)
    assert np.abs(force[:2]).max() < 0.05 * weight
    assert np.percentile(z, 98) == pytest.approx(depth, abs=spacing)
    assert 2 * z.mean() == pytest.approx(depth, rel=0.1)
    assert np.abs(simulation.velocities()[0]).mean() < 0.02


@pytest.mark.parametrize(
    ("shape", "volume"), [(Sphere(radius=0.06), 4 / 3 * np.pi * 0.06**3), (Box(half_extents=(0.055,) * 3), 0.11**3)]
)
def test_a_body_held_in_water_is_lifted_by_the_weight_it_displaces(shape: Shape, volume: float) -> None:
    """Within 25 %, at four cells across: the grid knows the surface of a body to a quarter of a cell."""
    lift, on_tub = submerged(shape)
    assert lift == pytest.approx(WATER * GRAVITY * volume, rel=0.25)
    assert lift + on_tub == pytest.approx(-WATER * GRAVITY * 0.3**2 * 0.24, rel=0.02)


def test_a_cork_floats_and_a_stone_sinks() -> None:
    """Two-way: the bodies move by the impulses they get. Let go half in the water, they go up or to the floor."""
    radius, level, half, dive = 0.06, 0.24, 0.15, {}
    for density in (200.0, 2500.0):
        water = matter(block((half, half, 0.09), (0.0, 0.0, 0.15)))
        ball = Collider(parts=[Part(shape=Sphere(radius=radius))], friction=0.5)
        domain: dict[str, Any] = {"lower": (-0.3, -0.3, 0.0), "upper": (0.3, 0.3, 0.5), "spacing": 0.03}
        simulation = simulate([water], [tub(half, 0.4, 0.06), ball], **domain)
        mass, dt = density * 4 / 3 * np.pi * radius**3, simulation.timestep
        poses, velocities = np.tile(np.eye(4), (2, 1, 1)), np.zeros((2, 6))
        poses[1, :3, 3] = (0.004, -0.006, level + radius)
        for _ in range(int(0.4 / dt)):
            velocities[1, :3] += simulation.step(dt, poses, velocities)[1, :3] / mass - (0, 0, GRAVITY * dt)
            poses[1, :3, 3] += dt * velocities[1, :3]
        dive[density] = level + radius - poses[1, 2, 3]
    assert 0 < dive[200.0] < radius
    assert dive[2500.0] > 2 * radius


def test_nothing_gets_into_bodies_or_out_of_a_shaken_tub() -> None:
    half, wall, spacing = 0.12, 0.06, 0.03
    water = matter(block((half / 2, half, 0.08), (-half / 2, 0.0, wall + 0.08)))
    ball = Sphere(radius=0.05)
    bodies = [tub(half, 0.3, wall), Collider(parts=[Part(shape=ball)], friction=0.5)]
    simulation = simulate([water], bodies, lower=(-0.4, -0.3, 0.0), upper=(0.4, 0.3, 0.5), spacing=spacing)
    place = np.zeros(3)
    for swing in (0.5, -0.5, 0.5, -0.5, 0.5):
        run(simulation, 0.2, [tuple(place), (*place[:2], wall + 0.08)], [(swing, 0, 0), (swing, 0, 0)])
        place[0] += 0.2 * swing
        points = simulation.positions()[0] - place
        outside = (np.abs(points[:, :2]) > half + 1e-4).any(axis=1) | (points[:, 2] < wall - 1e-4)
        inside = np.linalg.norm(points - (0, 0, wall + 0.08), axis=1) < 0.05 - 1e-4
        assert (outside & (points[:, 2] < wall + 0.3)).mean() < 0.01
        assert inside.mean() < 0.01
    assert simulation.active()[0].all()


def test_a_dam_breaks_at_the_speed_of_shallow_water_and_honey_is_slower() -> None:
    """The front of a dry-bed dam break runs at up to 2 sqrt(g h): within 35 %."""
    height, spacing = 0.2, 0.025
    sides = [block((1.0, 0.05, 0.3), (0.4, sign * (0.0625 + 0.05), 0.3)) for sign in (-1, 1)]
    walls = Collider(parts=[*sides, block((0.05, 0.2, 0.3), (-0.45, 0.0, 0.3))], friction=0.5, container=True)
    dam = block((0.1, 0.0625, height / 2), (-0.3, 0.0, height / 2))
    speeds = []
    for viscosity in (0.0, 20.0):
        domain: dict[str, Any] = {"lower": (-0.5, -0.25, 0.0), "upper": (1.0, 0.25, 0.4), "spacing": spacing}
        simulation = simulate([matter(dam, viscosity=viscosity)], [walls], **domain)
        run(simulation, 0.12, [(0, 0, 0)])
        before = np.percentile(simulation.positions()[0][:, 0], 99)
        run(simulation, 0.12, [(0, 0, 0)])
        speeds.append((np.percentile(simulation.positions()[0][:, 0], 99) - before) / 0.12)
    assert speeds[0] == pytest.approx(2 * np.sqrt(GRAVITY * height), rel=0.35)
    assert speeds[1] < 0.5 * speeds[0]


def collapse(friction_angle: float) -> tuple[float, float]:
    """Slope (degrees) of the flank of a heap into which a column of sand has fallen, and its height."""
    column = Part(shape=Cylinder(radius=0.2, half_height=0.08), position=(0.0, 0.0, 0.08))
    sand = matter(column, kind="granular", density=1600.0, friction_angle=friction_angle)
    simulation = simulate([sand], lower=(-0.7, -0.7, 0.0), upper=(0.7, 0.7, 0.3))
    run(simulation, 0.8)
    points = simulation.positions()[0]
    reach = np.hypot(points[:, 0], points[:, 1])
    rings = np.arange(0.0, 0.6, 0.04)
    top = []
    for ring in rings:
        here = points[(reach >= ring) & (reach < ring + 0.04), 2]
        top.append(np.percentile(here, 95) if len(here) > 8 else 0.0)
    heights = np.array(top)
    steepest = np.diff(heights)[np.diff(heights).argsort()[:3]].mean()
    return float(np.degrees(np.arctan2(-steepest, 0.04))), float(heights.max())


def test_sand_heaps_up_to_its_angle_of_friction() -> None:
    flat, gentle, steep = collapse(0.0), collapse(20.0), collapse(35.0)
    assert flat[1] < 0.05
    assert flat[0] < gentle[0] < steep[0]
    assert steep[0] == pytest.approx(35, abs=8)


def test_sand_bears_a_weight_that_water_does_not() -> None:
    """A plate moves into sand and into water at the same slow speed."""
    forces = []
    for kind in ("granular", "liquid"):
        bed = matter(block((0.16, 0.16, 0.08), (0.0, 0.0, 0.08)), kind=kind, density=1600.0)
        walls = [block((0.05, 0.26, 0.2), (sign * 0.21, 0.0, 0.2)) for sign in (-1, 1)]
        walls += [block((0.16, 0.05, 0.2), (0.0, sign * 0.21, 0.2)) for sign in (-1, 1)]
        plate = Collider(parts=[block((0.06, 0.06, 0.04), (0, 0, 0))], friction=0.5)
        simulation = simulate([bed], [Collider(parts=walls, friction=0.5, container=True), plate])
        run(simulation, 0.2, [(0, 0, 0), (0, 0, 0.24)], [(0, 0, 0), (0, 0, -0.2)])
        forces.append(run(simulation, 0.2, [(0, 0, 0), (0, 0, 0.2)], [(0, 0, 0), (0, 0, -0.2)])[:, 1, 2].sum() / 0.2)
    assert forces[0] > 5 * max(forces[1], 1.0)


def test_an_elastic_block_bounces_back_to_its_shape() -> None:
    cube = matter(block((0.08, 0.08, 0.08), (0.0, 0.0, 0.12)), kind="elastic", young=5e4)
    simulation = simulate([cube])
    start = np.ptp(simulation.positions()[0], axis=0)
    run(simulation, 1.5)
    assert np.ptp(simulation.positions()[0], axis=0) == pytest.approx(start, rel=0.1)


def test_heat_from_a_body_melts_a_block_from_below() -> None:
    ice = matter(
        block((0.08, 0.08, 0.08), (0.0, 0.0, 0.161)), kind="elastic", melting=320.0, young=5e4, diffusivity=2e-3
    )
    plate = Collider(parts=[block((0.2, 0.2, 0.04), (0.0, 0.0, 0.04))], friction=0.5, temperature=400.0)
    simulation = simulate([ice], [plate])
    heights = simulation.positions()[0][:, 2]
    melted, heat = [0], [293.0]
    for _ in range(3):
        run(simulation, 0.3, [(0, 0, 0)])
        melted.append(int(simulation.melted()[0].sum()))
        heat.append(float(simulation.temperatures()[0].mean()))
    assert 0 < melted[1] < melted[2] < melted[3] < len(heights)
    assert (np.diff(heat) > 0).all()
    assert simulation.temperatures()[0].max() < 400.5
    assert heights[simulation.melted()[0]].mean() < heights.mean()


def test_an_emitter_emits_its_flow_and_what_leaves_the_domain_is_gone() -> None:
    nozzle = Emitter(position=(0.0, 0.0, 0.4), velocity=(0.0, 0.0, -1.0), radius=0.04, start=0.1, stop=0.4)
    jet = Matter(name="jet", words="jet", kind="liquid", material=Material(), emitters=[nozzle])
    simulation = simulate([jet], spacing=0.025, lower=(-0.2, -0.2, 0.0), ground=False)
    run(simulation, 0.1)
    assert not simulation.active()[0].any()
    run(simulation, 0.15)
    share = simulation.active()[0].mean()
    assert share == pytest.approx(0.5, abs=0.02)
    run(simulation, 0.75)
    assert not simulation.active()[0].any()
    assert np.isfinite(simulation.positions()[0]).all()
    volume = np.pi * 0.04**2 * 0.3
    assert len(simulation.positions()[0]) * (0.025 / 2) ** 3 == pytest.approx(volume, rel=0.1)


def test_two_runs_are_the_same_bytes_and_another_seed_is_not() -> None:
    def final(seed: int) -> bytes:
        ball = Collider(parts=[Part(shape=Sphere(radius=0.06))], friction=0.5)
        stuff = [matter(block((0.08, 0.08, 0.06), (0.0, 0.0, 0.08)))]
        simulation = simulate(stuff, [ball], seed=seed)
        impulses = run(simulation, 0.1, [(0.0, 0.0, 0.25)], [(0.0, 0.0, -1.0)])
        return simulation.positions()[0].tobytes() + impulses.tobytes()

    assert final(1) == final(1)
    assert final(1) != final(2)


def test_what_it_cannot_simulate_is_named() -> None:
    box = block((0.1, 0.1, 0.1), (0.0, 0.0, 0.2))
    with pytest.raises(ConfigurationError, match="collider"):
        simulate([matter(box)], [Collider(parts=[Part(shape=Plane())], friction=0.5)])
    with pytest.raises(ConfigurationError, match="starts outside"):
        simulate([matter(block((0.1, 0.1, 0.1), (0.5, 0.0, 0.2)))])
    with pytest.raises(ConfigurationError, match="blocks or emitters"):
        simulate([matter()])
