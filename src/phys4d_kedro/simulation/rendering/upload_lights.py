"""Sun, sky and the tables of the kernel `colour`, as the kernels want them."""

from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering import colouring
from phys4d_kedro.simulation.rendering.lighting import Light
from phys4d_kedro.simulation.rendering.materials import Colour
from phys4d_kedro.simulation.rendering.scene import RenderScene, Sky
from phys4d_kedro.simulation.rendering.structures import structures

# Radiance of a white surface that faces the sun, and of one under the open sky, at intensity 1.
_SUN_RADIANCE = 1.3
_AMBIENT_RADIANCE = 0.42
# The tone curve is tabled up to this radiance.
_BRIGHTEST = 4.0
_TONE_STEPS = 4096


def upload_lights(scene: RenderScene) -> Any:
    """Light (T,): sun and sky in the axes of each frame's camera."""
    sun, sky = scene.sun, scene.sky
    rotation = scene.camera.world_from_camera[:, :3, :3]
    towards = np.broadcast_to(np.asarray(sun.direction, dtype=float), (scene.frames, 3))
    towards = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    side = np.cross(towards, np.eye(3)[np.argmin(np.abs(towards[0]))])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    spread = np.tan(np.radians(sun.angular_diameter) / 2)
    lights = structures(Light, scene.frames)
    lights["up"] = np.array((0.0, 0.0, 1.0)) @ rotation
    for key, direction in (("sun", towards), ("sun_x", spread * side), ("sun_y", spread * np.cross(towards, side))):
        lights[key] = (direction[:, None] @ rotation)[:, 0]
    lights["sun_spread"] = spread
    lights["sun_colour"] = _SUN_RADIANCE * sun.intensity * linear(sun.colour)
    lights["zenith"], lights["horizon"], lights["ground"] = map(linear, (sky.zenith, sky.horizon, sky.ground))
    lights["ambient"] = _AMBIENT_RADIANCE * sky.intensity
    if sky.panorama is not None:
        # Haze has the colour of what is seen far away.
        lights["horizon"] = sky.panorama[(len(sky.panorama) - 1) // 2].mean(axis=0)
        lights["ambient"] = sky.intensity
    lights["to_world"] = rotation
    lights["haze"] = 1 / sky.haze
    return wp.array(lights, dtype=Light)


def gradient_mean(sky: Sky) -> NDArray[np.float64]:
    """Mean light (3,) of the gradient on surfaces that look in all directions, as the radiance of white ones."""
    upper = 0.5 * (linear(sky.zenith) + linear(sky.horizon))
    return 0.5 * (upper + linear(sky.ground)) * _AMBIENT_RADIANCE * sky.intensity


def sampling_tables(samples: int) -> list[Any]:
    """Rays to the sun (place in the pixel, -0.5 .. 0.5; place on the unit disc), `samples` spots of a pixel, tone
    curve: the tables of the kernel `colour`, in its order."""
    k = np.arange(colouring.SUN_RAYS)
    # A sunflower from the rim inwards: a shadow's edge that crosses the disc divides the first few rays already.
    radius, angle = np.sqrt(1 - (k + 0.5) / colouring.SUN_RAYS), np.pi * (3 - np.sqrt(5)) * k
    disc = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    rays = np.concatenate((_sequence(colouring.SUN_RAYS) - 0.5, disc), axis=1)
    return [
        wp.array(rays, dtype=wp.vec4),
        wp.array(_sequence(samples), dtype=wp.vec2),
        wp.array(_tone_curve(), dtype=wp.uint8),
    ]


def _tone_curve() -> NDArray[np.uint8]:
    """sRGB bytes of linear radiance, over its square root: as it is up to 0.6, then softly up to 1."""
    radiance = _BRIGHTEST * np.linspace(0, 1, _TONE_STEPS) ** 2
    knee = 0.6
    mapped = np.where(radiance < knee, radiance, 1 - (1 - knee) * np.exp(-(radiance - knee) / (1 - knee)))
    srgb = np.where(mapped <= 0.0031308, 12.92 * mapped, 1.055 * mapped ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8)


def _sequence(count: int) -> NDArray[np.float64]:
    """Evenly spread points (count, 2) in the unit square: the additive recurrence of the plastic number."""
    plastic = 1.32471795724474602596
    return (0.5 + np.arange(count)[:, None] * plastic ** -np.array((1.0, 2.0))) % 1


def linear(colour: Colour) -> NDArray[np.float64]:
    """Linear light of an sRGB colour (IEC 61966-2-1)."""
    c = np.asarray(colour, dtype=float)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
