"""A leaning block falls over and takes a row of blocks with it."""

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import make_dominos
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def block_domino(draw: Draw) -> Description:
    """A leaning block falls over and takes a row of blocks with it."""
    count = draw.integer("count", 4, 7)
    height = draw.uniform("height", 0.16, 0.26)
    thickness, width = 0.16 * height, 0.3 * height
    pitch = height * draw.uniform("pitch", 0.55, 0.8)
    substance = draw_substance(draw, "block", size=height, kinds=("wooden", "plastic", "stone"))
    lean = draw.uniform("lean", 14, 20)
    start = -0.5 * (count - 1) * pitch
    places = [start + k * pitch + 0.35 * height for k in range(1, count)]
    return Description(
        things=make_dominos(substance, (thickness, width, height), lean, start, places),
        prompt=f"A row of {count} standing {substance.words} blocks: the first leans over and they "
        "topple {direction} one after another.",
        centre=(0.1, 0.0, 0.2),
        radius=0.45 + 0.5 * count * pitch,
    )
