"""Gas, smoke and fire on a grid: buoyant flow that keeps its volume.

Boussinesq flow on a staggered grid: velocity is advected by MacCormack steps with bounds (Selle et al. 2008, An
unconditionally stable MacCormack method), smoke, heat and flame in conservation form with limited slopes, so that none
is lost; heat lifts, smoke weighs a little; vorticity confinement (Fedkiw et al. 2001, Visual simulation of smoke) gives
back the small eddies that a coarse grid loses; a projection (gas_pressure.py) takes the divergence out. Time scales are
those of the sources (gas_sources.py), so that a candle and a bonfire burn alike, each at its own pace.
"""

from collections.abc import Sequence
from math import ceil, exp
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Gas
from phys4d_kedro.simulation.rendering.scene import Volume
from phys4d_kedro.simulation.solvers import gas_kernels as kernels
from phys4d_kedro.simulation.solvers import gas_transport
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.gas_pressure import Obstacle, Pressure, Solids, find_solids
from phys4d_kedro.simulation.solvers.gas_sources import (
    AIR_TEMPERATURE,
    check_sources,
    draw_turbulence,
    find_pace,
    kept_up,
)

# Smoke that takes away all but 1 / e of the light in a metre weighs 0.12 g a cubic metre (8.7 m^2/g), air 1.2 kg.
_SMOKE_WEIGHT = 1e-4
# Cells that gas may move in a substep.
_COURANT = 2.0
# Share of its gas that a cell may give away at once.
_MOST_GIVEN = 0.8
# Where the velocities lie in a cell: on its faces across x, y, z.
_OFFSETS = (wp.vec3(0.0, 0.5, 0.5), wp.vec3(0.5, 0.0, 0.5), wp.vec3(0.5, 0.5, 0.0))


def simulate_gas(
    gas: Gas,
    *,
    frames: int,
    fps: float,
    seed: int,
    instance: int,
    obstacles: Sequence[Obstacle] = (),
    device: str = "cpu",
) -> Volume:
    """Let the gas flow for `frames` frames, `fps` a second, from air that moves with the wind.

    The grid stands at `gas.lower`, with whole cells up to about `gas.upper`; its bottom is a floor, its sides and top
    are open. Each frame has the extinction (1/m), the glow if a source burns, and the velocity in metres a frame: how
    far the gas at a cell's centre goes by the next frame (in the last frame, at the speed it has). Obstacles hold no
    gas; what one moves over is pushed away, or lost where it cannot give way. `seed` decides the turbulence of the
    sources: the same seed on the same machine gives the same bytes.

    Raises:
        ConfigurationError: the box or a source is wrong, an obstacle has too few poses, or there are no frames.
    """
    if frames < 1 or not fps > 0:
        raise ConfigurationError(f"gas '{gas.name}': frames {frames} and fps {fps} must be positive")
    if any(obstacle.poses.shape != (frames, 4, 4) for obstacle in obstacles):
        raise ConfigurationError(f"gas '{gas.name}': obstacles need poses of shape {(frames, 4, 4)}")
    flow = GasFlow(gas, seed=seed, device=device)
    density = np.zeros((frames, *flow.shape), np.float32)
    glow = np.zeros_like(density)
    velocity = np.zeros((*density.shape, 3), np.float32)
    solids = find_solids(obstacles, centres=flow.centres, frame=0, fps=fps)
    flow.project(solids)
    for frame in range(frames):
        state = flow.state.numpy()
        free = solids.cells == 0
        density[frame] = np.where(free, state[..., 0], 0)
        # Falls slowly at first and fast at the end: a full body, a sharp tip.
        unburnt = np.minimum(state[..., 2], 1)
        glow[frame] = np.where(free, unburnt * (2 - unburnt), 0)
        if frame == frames - 1:
            velocity[frame] = flow.centre_velocity() / fps
            break
        if obstacles:
            solids = find_solids(obstacles, centres=flow.centres, frame=frame + 1, fps=fps)
        velocity[frame] = flow.advance(1 / fps, solids)
    return Volume(
        density=density,
        glow=glow if any(source.flame for source in gas.sources) else None,
        velocity=velocity,
        lower=gas.lower,
        cell=gas.cell,
        instance=instance,
        colour=gas.colour,
    )


class GasFlow:
    """The gas at one time. `shape` (X, Y, Z) counts cells, whose `centres` (X, Y, Z, 3) are in the world; `faces` are
    the velocities (m/s) across x, y and z, and `state` (X, Y, Z, 3) the smoke (1/m), heat (K above the air) and what
    is left to burn (0 to 1), on the device.

    Without a `seed` the sources are calm: nothing but rounding breaks the symmetry of the flow.

    Raises:
        ConfigurationError: the box or a source is wrong.
    """

    def __init__(self, gas: Gas, *, seed: int | None, device: str = "cpu") -> None:
        counts = np.rint(np.subtract(gas.upper, gas.lower) / gas.cell) if gas.cell > 0 else np.zeros(3)
        if not (counts >= 2).all():
            raise ConfigurationError(f"gas '{gas.name}': {gas.lower} to {gas.upper} must hold cells of {gas.cell} m")
        if gas.wind[2] != 0:
            raise ConfigurationError(f"gas '{gas.name}': wind {gas.wind} must be level")
        check_sources(gas)
        self._gas, self._device, self._pace = gas, device, find_pace(gas)
        x, y, z = self.shape = (int(counts[0]), int(counts[1]), int(counts[2]))
        self._indices = np.moveaxis(np.indices(self.shape), 0, -1) + np.float64(0.5)
        self.centres = self._indices * gas.cell + gas.lower
        self._size = wp.vec3(float(x), float(y), float(z))
        self._pressure = Pressure(self.shape)
        self._time = 0.0
        self._active: list[bool] | None = None
        self._axes = [2, 1, 0]
        shapes = ((x + 1, y, z), (x, y + 1, z), (x, y, z + 1))
        with wp.ScopedDevice(device):
            self.faces = [wp.full(n, speed, dtype=float) for n, speed in zip(shapes, gas.wind, strict=True)]
            self.state = wp.zeros(self.shape, dtype=wp.vec3)
            swirls, waves = draw_turbulence(gas, np.random.default_rng(seed))
            self._swirls = wp.array(swirls[:0] if seed is None else swirls, dtype=kernels.Swirl)
            self._waves = wp.array(waves, dtype=kernels.Wave)
            self._age(0.0)

    def advance(self, duration: float, solids: Solids) -> NDArray[np.float32]:
        """Flow for `duration` seconds, in as many steps as the speed asks for; how far the gas that was at the centres
        has gone, (X, Y, Z, 3), in metres."""
        with wp.ScopedDevice(self._device):
            speed = max(float(np.abs(face.numpy()).max()) for face in self.faces)
            speed += duration * GRAVITY / AIR_TEMPERATURE * float(self.state.numpy()[..., 1].max(initial=0.0))
            steps = max(1, ceil(speed * duration / (_COURANT * self._gas.cell)))
            start = self._indices.astype(np.float32)
            points = wp.array(start, dtype=wp.vec3)
            masks = _Masks(solids)
            if solids.present:
                self.state.assign(np.where(solids.cells[..., None] == 1, 0, self.state.numpy()))
            for _ in range(steps):
                self._step(duration / steps, points, masks)
        return np.asarray((points.numpy() - start) * np.float32(self._gas.cell))

    def project(self, solids: Solids) -> None:
        """Make the velocities free of divergence, and those of solids' faces the solids'."""
        with wp.ScopedDevice(self._device):
            self._project(_Masks(solids))

    def centre_velocity(self) -> NDArray[np.float32]:
        """(X, Y, Z, 3) m/s at the centres."""
        return np.asarray(self._centre_velocity().numpy())

    def _step(self, time: float, points: Any, masks: "_Masks") -> None:
        step = time / self._gas.cell
        wp.launch(gas_transport.carry, dim=self.shape, inputs=[*self.faces, step, points])
        state = self._carried(step, masks)
        winds = (self._gas.wind[0], self._gas.wind[1], 0.0)
        self.faces = [
            self._advected(face, offset, wind, step)
            for face, offset, wind in zip(self.faces, _OFFSETS, winds, strict=True)
        ]
        self.state = state
        self._time += time
        self._age(time)
        self._push(time)
        self._project(masks)

    def _carried(self, step: float, masks: "_Masks") -> Any:
        """The state after a step, in so many parts that no cell gives away more than it has."""
        given = np.zeros(self.shape, np.float32)
        for axis, face in enumerate(self.faces):
            speed = np.moveaxis(face.numpy(), axis, 0)
            np.moveaxis(given, axis, 0)[...] += np.maximum(speed[1:], 0) - np.minimum(speed[:-1], 0)
        parts = max(1, ceil(step * float(given.max()) / _MOST_GIVEN))
        state, part = self.state, step / parts
        for _ in range(parts):
            # In turn from x to z and from z to x, which cancels what the order does.
            self._axes.reverse()
            for n, axis in enumerate(self._axes):
                swept = wp.vec3i(*(int(a in self._axes[:n]) for a in range(3)))
                after = wp.empty_like(state)
                wp.launch(
                    gas_transport.sweep,
                    dim=self.shape,
                    inputs=[*self.faces, state, self.faces[axis], masks.open_shares[axis], axis, swept, part, after],
                )
                state = after
        return state

    def _advected(self, field: Any, offset: Any, outside: Any, step: float) -> Any:
        moved, corrected = wp.empty_like(field), wp.empty_like(field)
        departure = wp.empty(field.shape, dtype=wp.vec3)
        wp.launch(
            gas_transport.advect,
            dim=field.shape,
            inputs=[*self.faces, field, offset, outside, self._size, step, moved, departure],
        )
        wp.launch(
            gas_transport.correct,
            dim=field.shape,
            inputs=[*self.faces, field, offset, self._size, step, moved, departure, corrected],
        )
        return corrected

    def _age(self, time: float) -> None:
        """Cool and burn for a time; sources that work now keep theirs up."""
        active = [source.start <= self._time < source.stop for source in self._gas.sources]
        if active != self._active:
            self._active = active
            sources = [source for source, works in zip(self._gas.sources, active, strict=True) if works]
            self._kept = wp.array(kept_up(self._gas, sources, self.centres), dtype=wp.vec3)
        cooling, burning = exp(-time / self._pace.cooling), time / self._pace.burning
        wp.launch(kernels.age, dim=self.shape, inputs=[cooling, burning, self._kept, self.state])

    def _push(self, time: float) -> None:
        """Accelerate by buoyancy, turbulence and vorticity confinement."""
        cell = self._gas.cell
        velocity = self._centre_velocity()
        vorticity, force = wp.empty_like(velocity), wp.empty_like(velocity)
        wp.launch(kernels.curl, dim=self.shape, inputs=[velocity, cell, vorticity])
        lift = GRAVITY * wp.vec3(-_SMOKE_WEIGHT, 1.0 / AIR_TEMPERATURE, 0.0)
        confinement = self._pace.confinement * cell
        wp.launch(
            kernels.accelerate,
            dim=self.shape,
            inputs=[self.state, vorticity, lift, confinement, self._swirls, self._waves, self._time, force],
        )
        for axis, face in enumerate(self.faces):
            wp.launch(kernels.push, dim=face.shape, inputs=[force, axis, time, face])

    def _project(self, masks: "_Masks") -> None:
        if masks.solids.present:
            masks.hold(self.faces)
        outflow = wp.empty(self.shape, dtype=float)
        wp.launch(kernels.divergence, dim=self.shape, inputs=[*self.faces, masks.cells, outflow])
        potential = wp.array(self._pressure.solve(outflow.numpy(), masks.solids), dtype=float)
        for axis, face in enumerate(self.faces):
            wp.launch(kernels.relieve, dim=face.shape, inputs=[potential, axis, masks.open_shares[axis], face])

    def _centre_velocity(self) -> Any:
        velocity = wp.empty(self.shape, dtype=wp.vec3, device=self._device)
        wp.launch(kernels.centre, dim=self.shape, inputs=[*self.faces, velocity], device=self._device)
        return velocity


class _Masks:
    """Solids on the current device."""

    def __init__(self, solids: Solids) -> None:
        self.solids = solids
        self.cells = wp.array(solids.cells, dtype=wp.int32)
        self.open_shares = [wp.array(share, dtype=float) for share in solids.open_shares]
        self._held = [wp.array(held, dtype=float) for held in solids.held]

    def hold(self, faces: list[Any]) -> None:
        """Give the faces of solids the solids' velocity."""
        for face, held, share in zip(faces, self._held, self.open_shares, strict=True):
            wp.launch(kernels.hold, dim=face.shape, inputs=[held, share, face])
