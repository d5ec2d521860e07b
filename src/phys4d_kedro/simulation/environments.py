"""What surrounds an indoor scene: a studio with lamps, as a panorama that lights it and shows in mirrors."""

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.randomization import Draw

_ROWS, _COLUMNS = 64, 128


def studio(draw: Draw) -> NDArray[np.float32]:
    """Linear radiance (64, 128, 3) of walls, a ceiling, and two or three soft boxes: zenith in the first row."""
    elevation = np.radians(90 - (np.arange(_ROWS) + 0.5) * 180 / _ROWS)[:, None]
    azimuth = ((np.arange(_COLUMNS) + 0.5) * 360 / _COLUMNS)[None]
    wall = draw.uniform("studio_wall", 0.18, 0.45) * np.array([1.0, draw.uniform("studio_tint", 0.9, 1.0), 0.88])
    shade = 0.55 + 0.45 * np.sin(elevation) + 0.08 * np.cos(np.radians(2 * azimuth))
    image = shade[..., None] * wall
    image[np.broadcast_to(elevation < 0, image.shape[:2])] *= 0.6  # the floor sends less back
    for k in range(draw.integer("studio_lamps", 2, 3)):
        middle, height = draw.uniform(f"lamp_{k}.azimuth", 0, 360), draw.uniform(f"lamp_{k}.elevation", 25, 65)
        half = draw.uniform(f"lamp_{k}.size", 9, 20)
        aside = np.abs((azimuth - middle + 180) % 360 - 180) * np.cos(elevation)
        inside = np.clip((half - np.maximum(aside, np.abs(np.degrees(elevation) - height))) / 3, 0, 1)
        image = image + inside[..., None] * draw.uniform(f"lamp_{k}.intensity", 2.5, 5.0) * np.array([1.0, 0.96, 0.9])
    return image.astype(np.float32)
