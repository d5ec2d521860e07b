"""A marble rolls down a zigzag of slanting boards."""

import math

from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import (
    make_ball,
)
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def marble_run(draw: Draw) -> Description:
    """A marble rolls down a zigzag of slanting boards."""
    radius, angle = draw.uniform("radius", 0.07, 0.09), draw.uniform("angle", 12, 18)
    wood = draw_substance(draw, "board", size=0.3, kinds=("wooden", "plastic"))
    slope, half, drop = math.radians(angle), 0.3, 0.3
    boards, levels = [], 3
    for k in range(levels):
        side = 1 if k % 2 == 0 else -1
        height = 0.2 + drop * (levels - 1 - k)
        turn = (0.0, side * angle, 0.0)
        boards.append(
            Part(shape=Box(half_extents=(half, 0.12, 0.015)), position=(-side * 0.1, 0.0, height), rotation=turn)
        )
        stop = -side * 0.1 + side * (half + 2 * radius + 0.06)
        boards.append(
            Part(
                shape=Box(half_extents=(0.015, 0.12, 0.1)), position=(stop, 0.0, height - half * math.sin(slope) - 0.02)
            )
        )
        boards += [
            Part(
                shape=Box(half_extents=(half, 0.01, 0.05)),
                position=(-side * 0.1, y * 0.13, height + 0.03),
                rotation=turn,
            )
            for y in (-1, 1)
        ]
    run = Thing(name="run", substance=wood, parts=boards[: 4 * levels], position=(0.0, 0.0, 0.0), fixed=True)
    start = 0.8 * half
    x, z = -0.1 - start * math.cos(slope), 0.2 + drop * (levels - 1) + start * math.sin(slope)
    lift = radius + 0.017
    ball = make_ball(
        draw,
        "marble",
        radius,
        (x + lift * math.sin(slope), draw.uniform("across", -0.02, 0.02), z + lift * math.cos(slope)),
    )
    return Description(
        things=[run, ball],
        prompt=f"{ball.substance.a()} marble is let go at the top of a {wood.words} marble run and rolls down its "
        "slanting boards, to and fro.",
        centre=(0.0, 0.0, 0.45),
        radius=0.75,
        azimuths=(245.0, 295.0),
    )
