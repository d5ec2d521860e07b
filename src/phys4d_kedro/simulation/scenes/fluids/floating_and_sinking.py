"""A light ball and a heavy one fall into water: one floats, the other sinks."""

from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.flowing import around, filled, make_tank
from phys4d_kedro.simulation.scenes.pieces import (
    make_ball,
)
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_liquid


@scene("fluids")
def floating_and_sinking(draw: Draw) -> Description:
    """A light ball and a heavy one fall into water: one floats, the other sinks."""
    inner = (0.62, 0.36, 0.48)
    depth, drop = draw.uniform("depth", 0.2, 0.26), draw.uniform("drop", 0.03, 0.12)
    liquid, radius = draw_liquid(draw, "liquid", ("water",)), draw.uniform("radius", 0.07, 0.085)
    side = draw.sign("side")
    light = make_ball(draw, "light", radius, (-side * 0.16, 0.0, depth + drop + radius))
    heavy = make_ball(draw, "heavy", radius, (side * 0.16, 0.0, depth + drop + radius))
    wood = draw_substance(draw, "wood", size=0.15, kinds=("wooden",))
    stone = draw_substance(draw, "stone", size=0.15, kinds=("stone",))
    light = replace(light, substance=replace(wood, density=draw.uniform("light_density", 350, 550)))
    heavy = replace(heavy, substance=stone)
    return Description(
        things=[make_tank(draw, inner), light, heavy],
        matter=[filled("water", liquid, (-0.31, -0.18, 0.006), (0.31, 0.18, depth))],
        grid=around((0.43, 0.3), 0.55, 0.03),
        prompt=f"{wood.a()} ball and {stone.a(False)} ball fall into a glass tank of water: the wooden one floats, "
        "the stone one sinks.",
        centre=(0.0, 0.0, 0.24),
        radius=0.48,
    )
