"""A patterned ball turns on a platform."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import on_turntable
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def smiley_ball_rotates(draw: Draw) -> Description:
    """A patterned ball turns on a platform."""
    return on_turntable(draw, "ball", assets.sphere(draw.uniform("radius", 0.2, 0.26)))
