"""A lamp moves over a mug, whose shadow wanders."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.optical import under_lamp
from phys4d_kedro.simulation.scenes.pieces import place_asset
from phys4d_kedro.simulation.scenes.registry import scene


@scene("optics")
def light_on_mug(draw: Draw) -> Description:
    """A lamp moves over a mug, whose shadow wanders."""
    mug = place_asset(
        draw,
        "mug",
        assets.mug(0.18, draw.uniform("height", 0.36, 0.44), 0.015),
        (0.0, 0.0),
        turn=draw.uniform("turn", 0, 360),
        kinds=("plastic", "stone"),
    )
    return under_lamp(draw, [mug], f"{mug.substance.a(False)} mug", 0.2)
