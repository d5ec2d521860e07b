"""A row of blocks with a gap: the blocks beyond it stay up."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import make_dominos
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def dominos_with_space(draw: Draw) -> Description:
    """A row of blocks with a gap: the blocks beyond it stay up."""
    before, after = draw.integer("before", 3, 4), draw.integer("after", 2, 3)
    height = draw.uniform("height", 0.16, 0.24)
    thickness, width, pitch = 0.16 * height, 0.3 * height, height * draw.uniform("pitch", 0.6, 0.8)
    space = 2 * height * draw.uniform("space", 1.25, 1.5)
    substance = draw_substance(draw, "block", size=height, kinds=("wooden", "plastic", "stone"))
    lean = draw.uniform("lean", 14, 20)
    start = -(before - 0.5) * pitch
    places = [start + k * pitch + 0.35 * height for k in range(1, before)]
    places += [places[-1] + space + k * pitch for k in range(after)]
    return Description(
        things=make_dominos(substance, (thickness, width, height), lean, start, places),
        prompt=f"A row of {before + after} standing {substance.words} blocks with a wide gap: the first leans over, "
        f"they topple {{direction}} one after another up to the gap, and the blocks beyond it stay standing.",
        centre=(0.15, 0.0, 0.2),
        radius=0.45 + 0.5 * (before + after) * pitch,
    )
