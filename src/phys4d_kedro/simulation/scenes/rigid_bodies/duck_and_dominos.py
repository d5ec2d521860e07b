"""A row of toppling blocks ends at a duck."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import make_dominos, place_asset
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def duck_and_dominos(draw: Draw) -> Description:
    """A row of toppling blocks ends at a duck."""
    count, height = draw.integer("count", 3, 4), draw.uniform("height", 0.17, 0.23)
    thickness, width, pitch = 0.16 * height, 0.3 * height, height * draw.uniform("pitch", 0.6, 0.8)
    substance = draw_substance(draw, "block", size=height, kinds=("wooden", "plastic", "stone"))
    lean = draw.uniform("lean", 14, 20)
    start = -count * pitch
    places = [start + k * pitch + 0.35 * height for k in range(1, count)]
    size = draw.uniform("duck_size", 0.24, 0.3)
    duck = place_asset(
        draw,
        "duck",
        assets.duck(size),
        (places[-1] + 0.9 * height + 0.5 * size, 0.0),
        turn=draw.uniform("turn", -90, 90),
        kinds=("rubber", "plastic"),
    )
    return Description(
        things=[*make_dominos(substance, (thickness, width, height), lean, start, places), duck],
        prompt=f"A row of {count} standing {substance.words} blocks before {duck.substance.a(False)} duck: the first "
        f"leans over, they topple {{direction}} one after another, and the last hits the duck.",
        centre=(-0.05, 0.0, 0.2),
        radius=0.5 + 0.5 * count * pitch,
    )
