"""Gas on a grid: volume kept, buoyancy, smoke conserved, obstacles, symmetry, flames, determinism."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Gas, GasSource
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Sphere
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.gas import GasFlow, simulate_gas
from phys4d_kedro.simulation.solvers.gas_pressure import Obstacle, Solids, find_solids
from phys4d_kedro.simulation.solvers.gas_sources import AIR_TEMPERATURE

FPS = 60.0
PLUME = Gas(
    name="plume",
    lower=(-0.4, -0.4, 0.0),
    upper=(0.4, 0.4, 1.2),
    cell=0.05,
    sources=(GasSource(position=(0.0, 0.0, 0.2), radius=0.1, heat=120.0, smoke=20.0),),
)
# A ball of hot smoke that is there at first and then left alone.
BUBBLE = Gas(
    name="bubble",
    lower=(-0.8, -0.8, 0.0),
    upper=(0.8, 0.8, 2.0),
    cell=0.05,
    sources=(GasSource(position=(0.0, 0.0, 0.6), radius=0.25, heat=60.0, smoke=10.0, stop=1e-6),),
)


def _no_solids(flow: GasFlow) -> Solids:
    return find_solids((), centres=flow.centres, frame=0, fps=FPS)


def _still(shape: Sphere | Box | Cylinder, position: tuple[float, float, float], frames: int) -> Obstacle:
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, 3] = position
    return Obstacle(shape=shape, poses=poses)


def _outflow(flow: GasFlow) -> NDArray[np.float64]:
    return np.asarray(sum(np.diff(face.numpy().astype(np.float64), axis=axis) for axis, face in enumerate(flow.faces)))


def _stir(flow: GasFlow) -> None:
    rng = np.random.default_rng(3)
    for face in flow.faces:
        face.assign(rng.normal(size=face.shape).astype(np.float32))
    floor = flow.faces[2].numpy()
    floor[:, :, 0] = 0
    flow.faces[2].assign(floor)


def test_projection_leaves_no_divergence() -> None:
    flow = GasFlow(PLUME, seed=None)
    _stir(flow)
    before = np.abs(_outflow(flow)).max()
    flow.project(_no_solids(flow))
    assert np.abs(_outflow(flow)).max() < 2e-6 * before
    assert (flow.faces[2].numpy()[:, :, 0] == 0).all()


def test_projection_around_a_moving_obstacle_keeps_its_faces_and_leaves_no_divergence() -> None:
    flow = GasFlow(PLUME, seed=None)
    _stir(flow)
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[:, :3, 3] = [(0.0, 0.0, 0.6), (0.01, 0.0, 0.6)]
    obstacle = Obstacle(shape=Cylinder(radius=0.2, half_height=0.15), poses=poses)
    solids = find_solids([obstacle], centres=flow.centres, frame=1, fps=FPS)
    before = np.linalg.norm(_outflow(flow))
    flow.project(solids)
    assert np.linalg.norm(_outflow(flow)[solids.cells == 0]) < 2e-4 * before
    for face, share, speed in zip(flow.faces, solids.open_shares, (0.6, 0.0, 0.0), strict=True):
        np.testing.assert_allclose(face.numpy()[share == 0], speed, atol=1e-5)


def test_a_turning_obstacle_moves_as_a_rigid_body() -> None:
    flow = GasFlow(PLUME, seed=None)
    angle = 0.02
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, :2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    poses[:, 2, 3] = 0.6
    obstacle = Obstacle(shape=Box(half_extents=(0.3, 0.3, 0.2)), poses=poses)
    solids = find_solids([obstacle], centres=flow.centres, frame=1, fps=FPS)
    inner = (slice(5, 11), slice(5, 11), slice(9, 14))
    y = flow.centres[inner][..., 1]
    np.testing.assert_allclose(solids.held[0][inner], -angle * FPS * y, atol=0.02)


def test_uniform_wind_and_a_uniform_state_stay_as_they_are() -> None:
    flow = GasFlow(dataclasses.replace(PLUME, sources=(), wind=(0.9, -0.4, 0.0)), seed=None)
    flow.state.fill_(wp.vec3(1e-3, 0.0, 0.0))  # so thin that it weighs nothing
    for _ in range(5):
        moved = flow.advance(1 / FPS, _no_solids(flow))
    for face, speed in zip(flow.faces, (0.9, -0.4, 0.0), strict=True):
        np.testing.assert_allclose(face.numpy(), speed, atol=1e-6)
    np.testing.assert_allclose(moved, np.broadcast_to(np.array([0.9, -0.4, 0.0]) / FPS, moved.shape), atol=1e-6)
    # Fresh air comes in from two sides; it has not come further than it can have moved.
    np.testing.assert_allclose(flow.state.numpy()[4:, :-4, :, 0], 1e-3, rtol=1e-4)


def test_a_hot_bubble_starts_at_two_thirds_of_its_buoyancy() -> None:
    # The air around a sphere that starts to move has half of its mass: g' / (1 + 1/2) in unbounded air.
    flow = GasFlow(BUBBLE, seed=None)
    seconds = 0.02
    flow.advance(seconds, _no_solids(flow))
    heat = flow.state.numpy()[..., 1]
    speed = np.average(flow.centre_velocity()[..., 2], weights=heat)
    buoyancy = GRAVITY * BUBBLE.sources[0].heat / AIR_TEMPERATURE
    assert speed / seconds == pytest.approx(2 / 3 * buoyancy, rel=0.2)


def test_smoke_is_conserved_until_it_leaves() -> None:
    volume = simulate_gas(BUBBLE, frames=46, fps=FPS, seed=0, instance=1)
    totals = volume.density.sum(axis=(1, 2, 3))
    height = np.average(np.arange(volume.density.shape[3]), weights=volume.density[-1].sum(axis=(0, 1)))
    assert height > 16  # it was at 12
    assert volume.density[-1, ..., -2:].sum() < 1e-3 * totals[0]
    np.testing.assert_allclose(totals, totals[0], rtol=1e-4)


def test_smoke_goes_around_an_obstacle() -> None:
    frames = 51
    gas = dataclasses.replace(BUBBLE, sources=(dataclasses.replace(BUBBLE.sources[0], heat=150.0),))
    obstacle = _still(Sphere(radius=0.25), (0.0, 0.0, 1.2), frames)
    volume = simulate_gas(gas, frames=frames, fps=FPS, seed=0, instance=1, obstacles=[obstacle])
    centres = GasFlow(gas, seed=None).centres
    inside = obstacle.covers(centres, 0)
    touched = obstacle.covers((centres - (0, 0, 1.2)) / 1.3 + (0, 0, 1.2), 0) & ~inside
    assert volume.density[-1][inside].sum() < 0.02 * volume.density[-1].sum()
    assert volume.density[-1][touched].sum() > 0.05 * volume.density[-1].sum()
    assert volume.density[-1].sum() == pytest.approx(volume.density[0].sum(), rel=1e-4)


def test_flow_of_a_calm_source_is_mirror_symmetric() -> None:
    # Without a seed there is no turbulence at the source, and the box is symmetric about x = 0 and y = 0.
    flow = GasFlow(PLUME, seed=None)
    for _ in range(20):
        flow.advance(1 / FPS, _no_solids(flow))
    u, v, w = (face.numpy() for face in flow.faces)
    tolerance = 1e-3 * w.max()
    assert w.max() > 0.3
    np.testing.assert_allclose(u, -u[::-1], atol=tolerance)
    np.testing.assert_allclose(u, u[:, ::-1], atol=tolerance)
    np.testing.assert_allclose(w, w[::-1], atol=tolerance)
    np.testing.assert_allclose(u, v.transpose(1, 0, 2), atol=tolerance)


def test_same_seed_same_bytes_and_another_seed_another_flow() -> None:
    first, again, other = (simulate_gas(PLUME, frames=12, fps=FPS, seed=seed, instance=1) for seed in (5, 5, 6))
    assert first.density.tobytes() == again.density.tobytes()
    assert first.velocity.tobytes() == again.velocity.tobytes()
    assert np.abs(first.velocity - other.velocity).max() > 0.05 * np.abs(first.velocity).max()


def test_smoke_leaves_through_the_top() -> None:
    gas = dataclasses.replace(PLUME, upper=(0.4, 0.4, 0.8))
    volume = simulate_gas(gas, frames=181, fps=30.0, seed=0, instance=1)
    totals = volume.density.sum(axis=(1, 2, 3))
    assert totals[110:145].mean() > 2 * totals[0]
    assert totals[146:].mean() == pytest.approx(totals[110:145].mean(), rel=0.1)


def test_at_first_there_is_smoke_in_the_source_alone_and_none_before_its_start() -> None:
    volume = simulate_gas(PLUME, frames=2, fps=FPS, seed=0, instance=1)
    centres = GasFlow(PLUME, seed=None).centres
    distance = np.linalg.norm(centres - PLUME.sources[0].position, axis=-1)
    assert (volume.density[0][distance > 0.1 + PLUME.cell] == 0).all()
    np.testing.assert_allclose(volume.density[0][distance < 0.1 - PLUME.cell], 20.0)
    assert volume.glow is None
    late = dataclasses.replace(PLUME, sources=(dataclasses.replace(PLUME.sources[0], start=0.05),))
    volume = simulate_gas(late, frames=8, fps=FPS, seed=0, instance=1)
    assert (volume.density[:3] == 0).all()
    assert volume.density[4:].max() == pytest.approx(20.0)


def test_velocity_says_where_the_smoke_goes() -> None:
    volume = simulate_gas(BUBBLE, frames=31, fps=FPS, seed=0, instance=1)
    z = (np.arange(volume.density.shape[3]) + 0.5) * BUBBLE.cell
    heights = [np.average(z, weights=density.sum(axis=(0, 1))) for density in volume.density[[29, 30]]]
    moved = np.average(volume.velocity[29, ..., 2], weights=volume.density[29])
    assert moved > 0.1 * BUBBLE.cell
    assert heights[1] - heights[0] == pytest.approx(moved, rel=0.03)


def test_a_candle_burns_steadily_with_its_tip_above_its_source() -> None:
    candle = Gas(
        name="candle",
        lower=(-0.12, -0.12, 0.0),
        upper=(0.12, 0.12, 0.45),
        cell=0.015,
        sources=(GasSource(position=(0.0, 0.0, 0.05), radius=0.03, heat=500.0, smoke=0.5, flame=True),),
    )
    volume = simulate_gas(candle, frames=51, fps=FPS, seed=2, instance=1)
    glow = volume.glow
    assert glow is not None
    assert glow.min() >= 0
    assert glow.max() <= 1
    z = (np.arange(glow.shape[3]) + 0.5) * candle.cell
    # Column by column from the source up: bright in it, dying above, dark at the top of the box.
    axis = glow[-1, 7:9, 7:9].mean(axis=(0, 1))
    assert axis[3] > 0.9
    assert (np.diff(axis[3:]) < 0.05).all()
    assert axis[-3:].max() < 0.02
    tips = np.array([z[(frame > 0.2).any(axis=(0, 1))].max() for frame in glow[25:]])
    assert 0.05 + 3 * 0.03 < tips.mean() < 0.05 + 9 * 0.03
    middles = np.array([np.average(z, weights=frame.sum(axis=(0, 1))) for frame in glow[25:]])
    assert middles.std() < 0.03 * middles.mean()
    assert middles.std() > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cell": 1.0}, "cells"),
        ({"wind": (0.0, 0.0, 1.0)}, "level"),
        ({"sources": (GasSource(position=(2.0, 0.0, 0.2), radius=0.1, heat=1.0, smoke=1.0),)}, "outside"),
        ({"sources": (GasSource(position=(0.0, 0.0, 0.2), radius=0.01, heat=1.0, smoke=1.0),)}, "at least a cell"),
        ({"sources": (GasSource(position=(0.0, 0.0, 0.2), radius=0.1, heat=0.0, smoke=1.0, flame=True),)}, "heat"),
    ],
)
def test_what_cannot_flow_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"plume.*{words}"):
        simulate_gas(dataclasses.replace(PLUME, **change), frames=2, fps=FPS, seed=0, instance=1)


def test_obstacles_need_a_pose_a_frame() -> None:
    obstacle = _still(Sphere(radius=0.2), (0.0, 0.0, 0.6), 3)
    with pytest.raises(ConfigurationError, match=r"plume.*poses"):
        simulate_gas(PLUME, frames=4, fps=FPS, seed=0, instance=1, obstacles=[obstacle])
