"""One ball of a cradle is let go, and the last one swings out."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import newtons_cradle
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def single_cradle(draw: Draw) -> Description:
    """One ball of a cradle is let go, and the last one swings out."""
    return newtons_cradle(draw, lifted=1)
