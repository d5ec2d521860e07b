"""Honey is poured on the ground and spreads slowly."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.flowing import around, poured
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_liquid


@scene("fluids")
def honey_pour(draw: Draw) -> Description:
    """Honey is poured on the ground and spreads slowly."""
    honey = draw_liquid(draw, "honey", ("honey",))
    jet = poured("honey", honey, (0.0, 0.0, draw.uniform("height", 0.3, 0.42)), draw.uniform("speed", 0.5, 0.8), 0.05)
    return Description(
        matter=[jet],
        grid=around((0.4, 0.4), 0.5, 0.025),
        prompt="Honey is poured on the ground, piles up under the jet and spreads slowly.",
        centre=(0.0, 0.0, 0.15),
        radius=0.42,
    )
