"""A potato falls into a tank of water and sinks."""

from dataclasses import replace

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.scene import Material
from phys4d_kedro.simulation.scenes.flowing import around, filled, make_tank
from phys4d_kedro.simulation.scenes.pieces import (
    place_asset,
)
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_liquid


@scene("fluids")
def potato_in_water(draw: Draw) -> Description:
    """A potato falls into a tank of water and sinks."""
    inner = (0.56, 0.36, 0.5)
    depth = draw.uniform("depth", 0.2, 0.26)
    liquid = draw_liquid(draw, "liquid", ("water",))
    potato = place_asset(
        draw,
        "potato",
        assets.potato(draw.uniform("size", 0.18, 0.22), draw.integer("variety", 0, 7)),
        (draw.uniform("x", -0.1, 0.1), 0.0),
        above=depth + draw.uniform("drop", 0.06, 0.18),
        turn=draw.uniform("turn", 0, 360),
        kinds=("stone",),
    )
    brown = Material(
        colour=(0.62, 0.47, 0.27), second_colour=(0.45, 0.32, 0.17), texture="noise", scale=0.05, roughness=0.8
    )
    potato = replace(
        potato,
        substance=replace(potato.substance, words="brown", density=0.62 * potato.substance.density, material=brown),
    )
    return Description(
        things=[make_tank(draw, inner), potato],
        matter=[filled("water", liquid, (-0.28, -0.18, 0.006), (0.28, 0.18, depth))],
        grid=around((0.4, 0.3), 0.6, 0.03),
        prompt="A brown potato falls into a glass tank of water, splashes and sinks to the bottom.",
        centre=(0.0, 0.0, 0.25),
        radius=0.48,
    )
