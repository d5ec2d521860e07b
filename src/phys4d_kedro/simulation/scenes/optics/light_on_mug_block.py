"""A lamp moves over a mug and a block, whose shadows cross."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.optical import under_lamp
from phys4d_kedro.simulation.scenes.pieces import GAP, make_block, place_asset
from phys4d_kedro.simulation.scenes.registry import scene


@scene("optics")
def light_on_mug_block(draw: Draw) -> Description:
    """A lamp moves over a mug and a block, whose shadows cross."""
    mug = place_asset(
        draw,
        "mug",
        assets.mug(0.14, draw.uniform("height", 0.28, 0.34), 0.012),
        (-0.24, 0.0),
        turn=draw.uniform("turn", 0, 360),
        kinds=("plastic", "stone"),
    )
    half = (0.1, 0.1, draw.uniform("half_z", 0.12, 0.2))
    block = make_block(
        draw_substance(draw, "block", size=0.2),
        "block",
        half,
        (0.24, draw.uniform("y", -0.1, 0.1), half[2] + GAP),
        draw.uniform("block_turn", 0, 90),
    )
    return under_lamp(draw, [mug, block], f"{mug.substance.a(False)} mug and {block.substance.a(False)} block", 0.16)
