"""A teapot turns on a platform."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import on_turntable
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def teapot_rotates(draw: Draw) -> Description:
    """A teapot turns on a platform."""
    return on_turntable(draw, "teapot", assets.teapot(draw.uniform("size", 0.4, 0.5)))
