"""A duck falls into an open box."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import GAP, place_asset
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def duck_falls_in_box(draw: Draw) -> Description:
    """A duck falls into an open box."""
    wide, high, wall = draw.uniform("box_half", 0.26, 0.32), draw.uniform("box_height", 0.1, 0.16), 0.015
    card = draw_substance(draw, "box", size=0.4, kinds=("wooden", "plastic"))
    floor = Part(shape=Box(half_extents=(wide, wide, wall)), position=(0.0, 0.0, wall + GAP))
    sides = [
        Part(shape=Box(half_extents=(wall, wide, high)), position=(x * (wide - wall), 0.0, high + 2 * wall + GAP))
        for x in (-1, 1)
    ] + [
        Part(
            shape=Box(half_extents=(wide - 2 * wall, wall, high)),
            position=(0.0, y * (wide - wall), high + 2 * wall + GAP),
        )
        for y in (-1, 1)
    ]
    box = Thing(name="box", substance=card, parts=[floor, *sides], position=(0.0, 0.0, 0.0), fixed=True)
    duck = place_asset(
        draw,
        "duck",
        assets.duck(draw.uniform("duck_size", 0.24, 0.3)),
        (draw.uniform("x", -0.06, 0.06), draw.uniform("y", -0.06, 0.06)),
        above=draw.uniform("drop", 0.5, 0.9),
        turn=draw.uniform("turn", 0, 360),
        kinds=("rubber", "plastic"),
    )
    return Description(
        things=[box, duck],
        prompt=f"{duck.substance.a()} duck falls into an open {card.words} box.",
        centre=(0.0, 0.0, 0.4),
        radius=0.7,
    )
