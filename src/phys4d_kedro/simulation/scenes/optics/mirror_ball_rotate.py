"""A ball of many small mirrors turns on a platform."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.optical import faceted, turning_mirror
from phys4d_kedro.simulation.scenes.registry import scene


@scene("optics")
def mirror_ball_rotate(draw: Draw) -> Description:
    """A ball of many small mirrors turns on a platform."""
    return turning_mirror(draw, "ball of small mirrors", faceted(assets.sphere(draw.uniform("radius", 0.22, 0.28))))
