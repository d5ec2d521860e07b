"""Two balls of a cradle are let go, and the last two swing out."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import newtons_cradle
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def double_cradle(draw: Draw) -> Description:
    """Two balls of a cradle are let go, and the last two swing out."""
    return newtons_cradle(draw, lifted=2)
