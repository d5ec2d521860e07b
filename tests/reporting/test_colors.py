"""Colours of depth and motion on known values."""

import numpy as np
import pytest

from phys4d_kedro.reporting.colors import (
    depth_colors,
    depth_range,
    motion_colors,
    motion_legend,
    motion_scale,
)

# Viénot, Brettel, Mollon 1999: what a deuteranope sees, in linear RGB.
DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB (..., 3), 0 to 1."""
    return linear(rgb) @ [0.2126, 0.7152, 0.0722]


def linear(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB of 8-bit sRGB."""
    x = rgb / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def test_depth_ends_and_nothing() -> None:
    colors = depth_colors(np.array([[1.0, 10.0, 0.5, 20.0, np.inf]], np.float32), 1.0, 10.0)
    assert colors.shape == (1, 5, 3)
    assert colors.dtype == np.uint8
    assert colors[0, 0].tolist() == [253, 231, 37]  # the yellow end of viridis
    assert colors[0, 1].tolist() == [68, 1, 84]  # its violet end
    assert colors[0, 2].tolist() == colors[0, 0].tolist()
    assert colors[0, 3].tolist() == colors[0, 1].tolist()
    assert colors[0, 4].tolist() == [0, 0, 0]


def test_depth_colours_are_logarithmic_and_darken_with_distance() -> None:
    colors = depth_colors(np.geomspace(1, 100, 64, dtype=np.float32)[None], 1.0, 100.0)[0]
    assert (np.diff(luminance(colors)) < 0).all()
    middle = depth_colors(np.array([[10.0]], np.float32), 1.0, 100.0)[0, 0]
    assert np.abs(middle.astype(int) - [33, 145, 140]).max() <= 3  # the middle of viridis


def test_depth_range_ignores_outliers_and_the_sky() -> None:
    depth = np.concatenate([np.full(500, 2.0), np.full(500, 4.0), [1e6, np.inf]]).astype(np.float32)
    assert depth_range(depth) == (2.0, 4.0)
    near, far = depth_range(np.full((4, 4), 3.0, np.float32))
    assert near < 3 < far
    assert depth_range(np.full((4, 4), np.inf, np.float32)) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("vector", "test"),
    [
        ((0, 0), lambda r, g, b: r == g == b),
        ((1, 0), lambda r, g, b: r > g > b + 40),
        ((-1, 0), lambda r, g, b: b > g + 20 > r + 20),
    ],
)
def test_motion_axes(vector: tuple[int, int], test: object) -> None:
    colors = motion_colors(np.array([[vector]], np.float32), 1.0)[0, 0].astype(int)
    assert test(*colors), colors  # type: ignore[operator]


def test_motion_up_is_light_and_down_is_dark() -> None:
    up, rest, down = luminance(motion_colors(np.array([[0, -1], [0, 0], [0, 1]], np.float32), 1.0))
    assert up > 2 * rest
    assert down < rest / 3


def test_rest_is_the_grey_of_lightness_60() -> None:
    assert motion_colors(np.zeros((1, 1, 3), np.float32), 5.0).ravel().tolist() == [145, 145, 145]


def test_opposite_directions_stay_apart_for_a_deuteranope() -> None:
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    vectors = np.stack([np.cos(angles), np.sin(angles)], -1).astype(np.float32)
    seen = linear(motion_colors(vectors, 1.0)) @ DEUTERANOPE.T
    opposite = linear(motion_colors(-vectors, 1.0)) @ DEUTERANOPE.T
    assert np.abs(np.cbrt(np.clip(seen, 0, 1)) - np.cbrt(np.clip(opposite, 0, 1))).max(-1).min() > 0.25


def test_longer_than_the_scale_keeps_direction_and_colour() -> None:
    vectors = np.array([[3, -4], [30, -40]], np.float32)
    colors = motion_colors(vectors, 5.0)
    assert colors[0].tolist() == colors[1].tolist()


def test_invalid_motion_is_darkened() -> None:
    motion = np.ones((1, 2, 3), np.float32)
    shown, hidden = luminance(motion_colors(motion, 2.0, np.array([[True, False]]))[0])
    assert hidden < 0.2 * shown


def test_motion_scale_is_robust_and_never_below_a_pixel() -> None:
    motion = np.zeros((100, 100, 3), np.float32)
    assert motion_scale(motion) == 1.0
    motion[:50, :, 0] = 4.0
    motion[0, :10, 0] = 900.0
    assert motion_scale(motion) == 4.0
    motion[:50, :, 0] = 0.0
    motion[:6, :6, 0] = 7.0  # a small ball
    assert motion_scale(motion) == 7.0
    assert motion_scale(motion, np.zeros((100, 100), bool)) == 1.0


def test_legend_is_a_disc() -> None:
    legend = motion_legend(33)
    assert legend[0, 0].tolist() == [255, 255, 255]
    assert legend[16, 16].tolist() == [145, 145, 145]
    assert (legend[16, 31].astype(int) > legend[16, 1].astype(int))[0]
