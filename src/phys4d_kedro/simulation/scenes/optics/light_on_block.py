"""A lamp moves over a block, whose shadow wanders."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.optical import under_lamp
from phys4d_kedro.simulation.scenes.pieces import GAP, make_block
from phys4d_kedro.simulation.scenes.registry import scene


@scene("optics")
def light_on_block(draw: Draw) -> Description:
    """A lamp moves over a block, whose shadow wanders."""
    half = (draw.uniform("half_x", 0.12, 0.2), draw.uniform("half_y", 0.12, 0.2), draw.uniform("half_z", 0.16, 0.28))
    block = make_block(
        draw_substance(draw, "block", size=0.3), "block", half, (0.0, 0.0, half[2] + GAP), draw.uniform("turn", 0, 90)
    )
    return under_lamp(draw, [block], f"{block.substance.a(False)} block", half[2])
