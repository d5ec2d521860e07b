"""Resizing and cropping: images, annotations and the camera agree on where every pixel went."""

import numpy as np
import pytest

from phys4d_kedro.ingestion.framing import Framing

FRAMINGS = [
    Framing(48, 64, 16, 16),
    Framing(64, 48, 16, 16),
    Framing(50, 70, 16, 24),
    Framing(32, 32, 64, 96),
    Framing(48, 48, 48, 48),
    Framing(40, 40, 16, 16, pixel_aspect=1.5),
]


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_a_ramp_shows_where_pixels_come_from(framing: Framing) -> None:
    """On an image whose value is its coordinate, averaging and interpolation give the coordinate of the centre."""
    y, x = np.mgrid[0 : framing.source_height, 0 : framing.source_width] + 0.5
    ramp = np.stack([2 * x, 2 * y, 0 * x], -1).astype(np.uint8)
    image = framing.image(ramp).astype(float)
    (step_x, step_y), (left, top) = framing.step, framing.corner
    column = left + (np.arange(framing.width) + 0.5) * step_x
    row = top + (np.arange(framing.height) + 0.5) * step_y
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(image[..., 0] - 2 * column).__getitem__(inner).max() < 1.6
    assert np.abs(image[..., 1] - 2 * row[:, None]).__getitem__(inner).max() < 1.6
    sampled = framing.samples(np.stack([x, y], -1))
    assert np.abs(sampled[..., 0] - column).max() <= 0.5 + 1e-9
    assert np.abs(sampled[..., 1] - row[:, None]).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_the_whole_width_or_height_is_kept_and_the_crop_is_centred(framing: Framing) -> None:
    (step_x, step_y), (left, top) = framing.step, framing.corner
    assert min(left, top) == pytest.approx(0)
    assert left + framing.width * step_x == pytest.approx(framing.source_width - left)
    assert top + framing.height * step_y == pytest.approx(framing.source_height - top)
    assert step_x * framing.pixel_aspect == pytest.approx(step_y)


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_intrinsics_follow(framing: Framing) -> None:
    source = np.array([[50.0, 0, 20], [0, 60.0, 22], [0, 0, 1]])
    point = np.array([0.3, -0.2, 1.0])
    x, y, _ = source @ point
    (step_x, step_y), (left, top) = framing.step, framing.corner
    expected = [(x - left) / step_x, (y - top) / step_y, 1]
    np.testing.assert_allclose(framing.intrinsics(source) @ point, expected)
