"""A mirroring teapot turns on a platform."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.optical import turning_mirror
from phys4d_kedro.simulation.scenes.registry import scene


@scene("optics")
def mirror_teapot_rotate(draw: Draw) -> Description:
    """A mirroring teapot turns on a platform."""
    return turning_mirror(draw, "teapot", assets.teapot(draw.uniform("size", 0.42, 0.52)))
