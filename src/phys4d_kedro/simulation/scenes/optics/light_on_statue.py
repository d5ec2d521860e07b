"""A lamp moves over a bust, whose shadow wanders."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.optical import under_lamp
from phys4d_kedro.simulation.scenes.pieces import place_asset
from phys4d_kedro.simulation.scenes.registry import scene


@scene("optics")
def light_on_statue(draw: Draw) -> Description:
    """A lamp moves over a bust, whose shadow wanders."""
    statue = place_asset(
        draw,
        "statue",
        assets.statue(draw.uniform("height", 0.55, 0.7)),
        (0.0, 0.0),
        turn=draw.uniform("turn", 0, 360),
        kinds=("stone", "wooden"),
    )
    return under_lamp(draw, [statue], f"{statue.substance.a(False)} bust", 0.32)
