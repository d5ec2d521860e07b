"""Conduction of heat against its analytic solutions, and the surface that shows it."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import HeatedBlock
from phys4d_kedro.simulation.rendering.scene import Material
from phys4d_kedro.simulation.solvers.heat import AIR_TEMPERATURE, Conduction, conduct, heated_surface

BLOCK = HeatedBlock(
    name="plate",
    material=Material(),
    size=(0.4, 0.2, 0.1),
    cells=(16, 8, 4),
    position=(0.5, -0.3, 0.25),
    source_position=(0.32, -0.3, 0.25),
    source_radius=0.04,
    source_temperature=1000.0,
    diffusivity=2e-3,
)


def _stepped(
    temperature: NDArray[np.float64], *, spacing: float, diffusivity: float, seconds: float, loss: float = 0.0
) -> NDArray[np.float64]:
    conduction = Conduction(
        temperature.shape,
        spacing=(spacing,) * temperature.ndim,
        diffusivity=diffusivity,
        loss=loss,
        duration=seconds / 10,
    )
    for _ in range(10):
        temperature = conduction.step(temperature)
    return temperature


def test_slab_with_insulated_ends_follows_its_cosine_series() -> None:
    length, diffusivity, count = 0.3, 1e-3, 90
    x = (np.arange(count) + 0.5) * length / count
    temperature = np.where(x < length / 3, 800.0, 300.0).reshape(-1, 1, 1)
    for seconds in (2.0, 10.0):
        n = np.arange(1, 200)[:, None]
        modes = 2 / (n * np.pi) * np.sin(n * np.pi / 3) * np.cos(n * np.pi * x / length)
        series = 300 + 500 * (1 / 3 + (modes * np.exp(-diffusivity * (n * np.pi / length) ** 2 * seconds)).sum(axis=0))
        found = _stepped(temperature, spacing=length / count, diffusivity=diffusivity, seconds=seconds)[:, 0, 0]
        assert np.abs(found - series).max() < 0.01 * 500


def test_slab_with_one_end_kept_hot_follows_its_cosine_series() -> None:
    # A ball so large that its edge is nearly plane keeps the first cell hot; the other end is insulated.
    count, length, radius = 64, 0.32, 50.0
    spacing = length / count
    block = dataclasses.replace(
        BLOCK,
        size=(length, spacing, spacing),
        cells=(count, 1, 1),
        position=(length / 2, 0.0, 0.0),
        source_position=(spacing - radius, 0.0, 0.0),
        source_radius=radius,
    )
    frames, fps = 41, 4.0
    found = conduct(block, frames=frames, fps=fps)[:, :, 0, 0]
    # The temperature is given at the first cell's centre, so the slab begins there.
    depth, x = length - spacing / 2, np.arange(count) * spacing
    k = (np.arange(200)[:, None] + 0.5) * np.pi / depth
    for frame in (8, 40):
        modes = 2 / (k * depth) * np.sin(k * x) * np.exp(-block.diffusivity * k**2 * frame / fps)
        series = 1000 - (1000 - AIR_TEMPERATURE) * modes.sum(axis=0)
        assert np.abs(found[frame] - series).max() < 0.01 * (1000 - AIR_TEMPERATURE)


def test_heat_is_conserved_and_nothing_becomes_hotter_than_it_was() -> None:
    before = np.random.default_rng(0).uniform(300, 1000, (12, 10, 8))
    after = _stepped(before, spacing=0.02, diffusivity=1e-3, seconds=0.2)
    assert abs(after.sum() / before.sum() - 1) < 1e-5
    assert before.min() <= after.min()
    assert after.max() <= before.max()
    assert after.std() < 0.5 * before.std()


def test_temperatures_stay_between_the_air_and_the_source() -> None:
    temperatures = conduct(BLOCK, frames=30, fps=10.0)
    assert temperatures.min() >= AIR_TEMPERATURE - 1e-3
    assert temperatures.max() == BLOCK.source_temperature
    assert (np.diff(temperatures, axis=0) >= -1e-3).all()


def test_variance_of_a_gaussian_grows_by_twice_the_diffusivity_times_time() -> None:
    spacing, diffusivity, seconds = 0.01, 1e-3, 2.0
    x = (np.moveaxis(np.indices((48, 48, 48)), 0, -1) + 0.5 - 24) * spacing
    before = AIR_TEMPERATURE + 500 * np.exp(-(x**2).sum(axis=-1) / (2 * 0.03**2))
    after = _stepped(before, spacing=spacing, diffusivity=diffusivity, seconds=seconds)
    for axis in range(3):
        variances = [
            np.average(x[..., axis] ** 2, weights=temperature - AIR_TEMPERATURE) for temperature in (before, after)
        ]
        assert variances[1] - variances[0] == pytest.approx(2 * diffusivity * seconds, rel=0.03)


def test_loss_is_an_exponential_fall_to_the_air() -> None:
    after = _stepped(np.full((4, 4, 4), 893.0), spacing=0.02, diffusivity=1e-3, seconds=2.0, loss=0.3)
    np.testing.assert_allclose(after, AIR_TEMPERATURE + 600 * np.exp(-0.6), rtol=1e-9)


def test_surface_is_closed_outward_and_shaded_by_temperature() -> None:
    temperatures = conduct(BLOCK, frames=4, fps=2.0)
    surface = heated_surface(BLOCK, temperatures)
    vertices, faces = surface.vertices[0].astype(np.float64), surface.faces[0]
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    # Every edge is passed once in each direction.
    assert len(np.unique(edges, axis=0)) == len(edges)
    assert {tuple(edge) for edge in edges} == {tuple(edge[::-1]) for edge in edges}
    volume = np.einsum("fi,fi->", vertices[faces[:, 0]], np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]])) / 6
    assert volume == pytest.approx(np.prod(BLOCK.size), rel=1e-5)
    np.testing.assert_allclose(vertices.min(axis=0), np.subtract(BLOCK.position, np.divide(BLOCK.size, 2)), atol=1e-6)
    assert surface.shades is not None
    shades = np.array(surface.shades)
    assert shades.min() >= 0
    assert shades.max() <= 1
    nearest = np.linalg.norm(vertices - BLOCK.source_position, axis=1).argmin()
    assert shades[-1, nearest] == shades[-1].max() > 0.5
    assert surface.vertices[3] is surface.vertices[0]


def test_uniform_temperature_has_uniform_shade() -> None:
    halfway = np.full((1, *BLOCK.cells), (BLOCK.cold + BLOCK.hot) / 2, np.float32)
    shades = heated_surface(BLOCK, halfway).shades
    assert shades is not None
    np.testing.assert_allclose(shades[0], 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source_position": (2.0, 0.0, 0.0)}, "outside"),
        ({"diffusivity": 0.0}, "diffusivity"),
        ({"cells": (0, 4, 4)}, "cells"),
    ],
)
def test_wrong_blocks_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"plate.*{words}"):
        conduct(dataclasses.replace(BLOCK, **change), frames=2, fps=10.0)
