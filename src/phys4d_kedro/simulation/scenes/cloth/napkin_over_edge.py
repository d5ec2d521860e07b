"""A napkin that lies over the edge of a table slides down."""

from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Cloth,
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_cloth


@scene("cloth")
def napkin_over_edge(draw: Draw) -> Description:
    """A napkin that lies over the edge of a table slides down."""
    height, side = draw.uniform("table_height", 0.45, 0.6), draw.uniform("side", 0.45, 0.55)
    wood = replace(draw_substance(draw, "table", size=0.5, kinds=("wooden", "plastic", "stone")), friction=0.05)
    top = Part(shape=Box(half_extents=(0.4, 0.4, 0.02)), position=(0.0, 0.0, -0.02))
    legs = [
        Part(shape=Box(half_extents=(0.03, 0.03, height / 2 - 0.02)), position=(x * 0.35, y * 0.35, -height / 2 - 0.02))
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    table = Thing(name="table", substance=wood, parts=[top, *legs], position=(-0.4, 0.0, height), fixed=True)
    over = draw.uniform("over", 0.62, 0.75) * side
    cloth = Cloth(
        name="napkin",
        substance=replace(draw_cloth(draw, "napkin"), friction=0.05),
        size=(side, side),
        cells=(14, 14),
        weight=draw.uniform("weight", 0.2, 0.35),
        position=(over - side / 2, draw.uniform("y", -0.08, 0.08), height + 0.012),
        rotation=(0.0, 0.0, draw.uniform("turn", -8, 8)),
    )
    return Description(
        things=[table],
        cloths=[cloth],
        prompt=f"{cloth.substance.a()} napkin reaches far over the edge of {wood.a(False)} table; it bends down and "
        f"slides off {{direction}}.",
        centre=(-0.05, 0.0, 0.4),
        radius=0.75,
        azimuths=(-80.0, 80.0),
    )
