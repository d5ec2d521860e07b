"""A liquid is poured over a duck."""

from dataclasses import replace

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.flowing import around, poured
from phys4d_kedro.simulation.scenes.pieces import (
    place_asset,
)
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_liquid


@scene("fluids")
def liquid_on_duck(draw: Draw) -> Description:
    """A liquid is poured over a duck."""
    size = draw.uniform("duck_size", 0.32, 0.38)
    duck = place_asset(draw, "duck", assets.duck(size), (0.0, 0.0), turn=draw.uniform("turn", 0, 360), kinds=("stone",))
    liquid = draw_liquid(draw, "liquid", ("red juice", "orange juice", "milk", "water"))
    jet = poured(
        "liquid",
        liquid,
        (draw.uniform("x", -0.05, 0.05), draw.uniform("y", -0.03, 0.03), 0.62),
        draw.uniform("speed", 0.7, 1.1),
        0.05,
    )
    return Description(
        things=[replace(duck, fixed=True)],
        matter=[jet],
        grid=around((0.55, 0.55), 0.7, 0.028),
        prompt=f"{liquid.words.capitalize()} is poured from above on {duck.substance.a(False)} duck, runs down it and "
        "spreads over the ground.",
        centre=(0.0, 0.0, 0.25),
        radius=0.5,
    )
