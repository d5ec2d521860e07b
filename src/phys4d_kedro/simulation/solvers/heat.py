"""Conduction of heat in a box, and how the box shows it.

Cells hold the temperature of their centres. The discrete heat equation with insulated faces (and an even loss to the
air) is stepped exactly in its eigenvectors, which the cosine transform gives, so that a step of any length is stable,
keeps the heat, and makes nothing hotter or colder than it was; a source is put back after every step.
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import HeatedBlock
from phys4d_kedro.simulation.rendering.scene import Surface

AIR_TEMPERATURE = 293.0
# A step lets heat leave the source's cells for at most this share of the time in which it crosses a cell.
_SOURCE_SHARE = 0.1


class Conduction:
    """Steps of `duration` seconds on cells of `spacing` metres along each axis, with insulated faces.

    `diffusivity` m^2/s; `loss` is the rate (1/s) at which a temperature falls towards that of the air.
    """

    def __init__(
        self, shape: tuple[int, ...], *, spacing: tuple[float, ...], diffusivity: float, loss: float, duration: float
    ) -> None:
        rate = np.full(shape, loss)
        for axis, (count, size) in enumerate(zip(shape, spacing, strict=True)):
            values = (2 / size * np.sin(np.pi * np.arange(count) / (2 * count))) ** 2
            rate += diffusivity * values.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        self._decay = np.exp(-rate * duration)

    def step(self, temperature: NDArray[np.float64]) -> NDArray[np.float64]:
        """The temperature (K) of the cells one step later."""
        modes = fft.dctn(temperature - AIR_TEMPERATURE, norm="ortho")
        return np.asarray(fft.idctn(modes * self._decay, norm="ortho") + AIR_TEMPERATURE)


def conduct(block: HeatedBlock, *, frames: int, fps: float) -> NDArray[np.float32]:
    """Temperatures (T, X, Y, Z) in kelvin of the block's cells, `fps` frames a second.

    The block starts as warm as the air, its source as hot as it is kept: the cells whose centres the ball, in the
    world, covers, or the one nearest to it.

    Raises:
        ConfigurationError: frames, cells, sizes or rates make no sense, or the source lies outside the block.
    """
    _check(block, frames, fps)
    spacing = (block.size[0] / block.cells[0], block.size[1] / block.cells[1], block.size[2] / block.cells[2])
    source = _source_cells(block, spacing)
    crossing = min(spacing) ** 2 / block.diffusivity
    steps = max(1, ceil(1 / (fps * _SOURCE_SHARE * crossing)))
    conduction = Conduction(
        block.cells, spacing=spacing, diffusivity=block.diffusivity, loss=block.loss, duration=1 / (fps * steps)
    )
    temperature = np.where(source, block.source_temperature, AIR_TEMPERATURE)
    temperatures = np.empty((frames, *block.cells), np.float32)
    for frame in range(frames):
        temperatures[frame] = temperature
        for _ in range(steps if frame < frames - 1 else 0):
            temperature = np.where(source, block.source_temperature, conduction.step(temperature))
    return temperatures


def heated_surface(block: HeatedBlock, temperatures: NDArray[np.float32]) -> Surface:
    """The block's faces in the world, as a closed grid of triangles that stays where it is. Its `shades` run from 0 at
    `block.cold` to 1 at `block.hot`; `temperatures` (T, X, Y, Z) are those of the cells."""
    nodes, faces = _boundary(block.cells)
    lower = np.subtract(block.position, np.multiply(block.size, 0.5))
    vertices = (lower + nodes * np.divide(block.size, block.cells)).astype(np.float32)
    shades = []
    for temperature in temperatures:
        # A node has the mean of the cells around it.
        padded = np.pad(temperature, 1, mode="edge")
        for axis in range(3):
            count = padded.shape[axis]
            padded = (padded.take(range(count - 1), axis) + padded.take(range(1, count), axis)) / 2
        shade = (padded[tuple(nodes.T)] - block.cold) / (block.hot - block.cold)
        shades.append(np.clip(shade, 0, 1).astype(np.float32))
    frames = len(temperatures)
    return Surface(vertices=[vertices] * frames, faces=[faces] * frames, smooth=False, shades=shades)


def _check(block: HeatedBlock, frames: int, fps: float) -> None:
    what = f"heated block '{block.name}'"
    if frames < 1 or not fps > 0:
        raise ConfigurationError(f"{what}: frames {frames} and fps {fps} must be positive")
    if min(block.cells) < 1 or not min(block.size) > 0:
        raise ConfigurationError(f"{what}: size {block.size} and cells {block.cells} must be positive")
    if not block.diffusivity > 0 or block.loss < 0 or not block.hot > block.cold:
        raise ConfigurationError(f"{what}: diffusivity must be positive, loss not negative, hot hotter than cold")


def _source_cells(block: HeatedBlock, spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    lower = np.subtract(block.position, np.multiply(block.size, 0.5))
    outside = np.subtract(np.clip(block.source_position, lower, lower + block.size), block.source_position)
    if not np.linalg.norm(outside) < block.source_radius:
        raise ConfigurationError(
            f"heated block '{block.name}': the source at {block.source_position} lies outside {block.size} "
            f"at {block.position}"
        )
    centres = lower + (np.moveaxis(np.indices(block.cells), 0, -1) + 0.5) * spacing
    distance = np.linalg.norm(centres - block.source_position, axis=-1)
    return np.asarray(distance <= max(block.source_radius, float(distance.min())))


def _boundary(cells: tuple[int, int, int]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Nodes (V, 3) of the cells' outer faces, as indices, and triangles (F, 3) of them, counter-clockwise from
    outside."""
    triangles = []
    for axis in range(3):
        across, along = (axis + 1) % 3, (axis + 2) % 3
        corners = np.zeros((cells[across], cells[along], 4, 3), np.int64)
        corners[..., across] = np.arange(cells[across])[:, None, None] + np.array((0, 1, 1, 0))
        corners[..., along] = np.arange(cells[along])[None, :, None] + np.array((0, 0, 1, 1))
        for end, order in ((0, (0, 2, 1, 0, 3, 2)), (cells[axis], (0, 1, 2, 0, 2, 3))):
            corners[..., axis] = end
            triangles.append(corners[..., order, :].reshape(-1, 3, 3))
    nodes, faces = np.unique(np.concatenate(triangles).reshape(-1, 3), axis=0, return_inverse=True)
    return nodes, faces.reshape(-1, 3).astype(np.int32)
