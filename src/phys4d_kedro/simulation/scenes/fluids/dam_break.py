"""A column of liquid at one end of a tank is let go and surges to the other."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.flowing import around, filled, make_tank
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_liquid


@scene("fluids")
def dam_break(draw: Draw) -> Description:
    """A column of liquid at one end of a tank is let go and surges to the other."""
    inner = (draw.uniform("length", 0.85, 1.0), 0.3, 0.45)
    depth, wide = draw.uniform("depth", 0.28, 0.36), draw.uniform("wide", 0.22, 0.3)
    liquid, side = draw_liquid(draw, "liquid"), draw.sign("side")
    x = sorted((side * -inner[0] / 2, side * (wide - inner[0] / 2)))
    water = filled("liquid", liquid, (x[0], -0.15, 0.006), (x[1], 0.15, depth))
    return Description(
        things=[make_tank(draw, inner)],
        matter=[water],
        grid=around((0.62, 0.28), 0.6, 0.03),
        prompt=f"A column of {liquid.words} at one end of a glass tank collapses and surges "
        f"{'{direction}' if side > 0 else '{opposite}'} to the other end.",
        centre=(0.0, 0.0, 0.18),
        radius=0.6,
        azimuths=(240.0, 300.0),
    )
