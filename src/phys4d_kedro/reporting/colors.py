"""Depth and motion as colours that read the same with and without colour-blindness.

Depth takes viridis over log depth: lightness alone carries the order. Motion takes the two axes of colour that
red-green blindness leaves intact: left to right goes from blue to orange, down to up from dark to light, and rest is
grey. (The usual hue wheel gives opposite directions the same colour to one man in twelve.)
"""

import numpy as np
from numpy.typing import NDArray

NOTHING_HIT = (0, 0, 0)
"""Colour of pixels whose ray meets nothing, where depth is inf."""

_REST_LIGHTNESS, _LIGHTNESS_SPAN, _BLUE_ORANGE_SPAN = 60.0, 35.0, 52.0
_D65 = np.array([0.95047, 1.0, 1.08883])
_RGB_FROM_XYZ = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)


def depth_range(depth: NDArray[np.float32], *, share: float = 0.01) -> tuple[float, float]:
    """(near, far) in metres that leaves out `share` of the finite depths at either end; (1, 2) if none is finite."""
    finite = depth[np.isfinite(depth)]
    if not finite.size:
        return 1.0, 2.0
    near, far = (float(q) for q in np.quantile(finite, [share, 1 - share]))
    return (near, far) if far > near * 1.05 else (near / 1.05, near * 1.05)


def depth_colors(depth: NDArray[np.float32], near: float, far: float) -> NDArray[np.uint8]:
    """Depth (..., H, W) in metres as sRGB (..., H, W, 3): yellow at `near`, dark violet at `far`, black at inf."""
    from matplotlib import colormaps

    hit = np.isfinite(depth)
    position = np.log(np.where(hit, depth, far) / near) / np.log(far / near)
    table = (np.asarray(colormaps["viridis_r"].colors) * 255).round().astype(np.uint8)  # type: ignore[attr-defined]
    colors = table[(np.clip(position, 0, 1) * (len(table) - 1)).round().astype(np.int64)]
    colors[~hit] = NOTHING_HIT
    return colors


def motion_scale(motion: NDArray[np.float32], valid: NDArray[np.bool_] | None = None) -> float:
    """The length in pixels to show at full colour: what 0.2 % of motion (..., 2 or 3) exceed, at least 1 pixel.

    The share is so small because a small moving object covers hardly more of a clip.
    """
    length = np.hypot(motion[..., 0], motion[..., 1])
    if valid is not None:
        length = length[valid]
    return max(1.0, float(np.quantile(length, 0.998))) if length.size else 1.0


def motion_colors(
    motion: NDArray[np.float32], scale: float, valid: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Motion (..., H, W, 2 or 3) in pixels as sRGB (..., H, W, 3); `scale` pixels and more take the full colour.

    Where `valid` (..., H, W) is false the colour is darkened: the point is hidden in the next frame or out of view.
    """
    x, y = (np.asarray(motion[..., axis], np.float64) / scale for axis in (0, 1))
    shrink = 1 / np.maximum(np.hypot(x, y), 1)
    lightness = _REST_LIGHTNESS - _LIGHTNESS_SPAN * y * shrink  # y points down in the image
    blue_orange = _BLUE_ORANGE_SPAN * x * shrink
    # Lab's green to red axis is invisible to many: here it only turns yellow into orange, and keeps blue in gamut.
    linear = _linear_rgb(lightness, 0.3 * np.abs(blue_orange), blue_orange)
    if valid is not None:
        linear = np.where(valid[..., None], linear, 0.15 * linear)
    return _encode_srgb(linear)


def motion_legend(size: int) -> NDArray[np.uint8]:
    """The colours of all directions as a disc (size, size, 3), white outside; its rim is the scale's length."""
    step = (np.arange(size) + 0.5) / size * 2 - 1
    vectors = np.stack(np.meshgrid(step, step), -1)
    colors = motion_colors(vectors.astype(np.float32), 1.0)
    colors[np.hypot(vectors[..., 0], vectors[..., 1]) > 1] = 255
    return colors


def instance_colors(segmentation: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Instance ids (...) as sRGB (..., 3): ten colours in turn; the background, 0, is dark grey."""
    from matplotlib import colormaps

    table = (np.asarray(colormaps["tab10"].colors) * 255).round().astype(np.uint8)  # type: ignore[attr-defined]
    colors = table[(segmentation.astype(np.int64) - 1) % len(table)]
    colors[segmentation == 0] = (45, 45, 45)
    return colors


def _linear_rgb(lightness: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB under D65 (Poynton) as linear RGB in [0, 1], clipped to the gamut."""
    f = np.stack([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D65
    return np.clip(xyz @ _RGB_FROM_XYZ.T, 0, 1)


def _encode_srgb(linear: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Linear RGB in [0, 1] as 8-bit sRGB (IEC 61966-2-1)."""
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return (encoded * 255).round().astype(np.uint8)
