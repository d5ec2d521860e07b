"""A ball on a rope swings into a stack of blocks."""

import math
from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
    Rope,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import (
    make_ball,
    make_frame,
    make_tower,
)
from phys4d_kedro.simulation.scenes.registry import scene


@scene("ropes")
def wrecking_ball(draw: Draw) -> Description:
    """A ball on a rope swings into a stack of blocks."""
    length, radius = draw.uniform("length", 0.75, 0.9), draw.uniform("radius", 0.11, 0.14)
    count, half = draw.integer("count", 2, 3), draw.uniform("half", 0.09, 0.11)
    angle = math.radians(draw.uniform("angle", 50, 70))
    height = length + radius + 0.12
    tower = make_tower(
        draw,
        half,
        [draw_substance(draw, f"block_{k}", size=2 * half, kinds=("wooden", "plastic")) for k in range(count)],
        [radius + half + 0.08] + [0.0] * (count - 1),
    )
    reach = length - radius
    out = (-math.sin(angle), 0.0, -math.cos(angle))
    ball = make_ball(draw, "ball", radius, (length * out[0], 0.0, height + length * out[2]))
    ball = replace(ball, substance=draw_substance(draw, "weight", size=2 * radius, kinds=("metal", "stone")))
    rope = Rope(
        name="rope",
        substance=draw_substance(draw, "rope", size=0.1, kinds=("plastic",)),
        points=[(0.0, 0.0, height), (reach * out[0], 0.0, height + reach * out[2])],
        radius=0.014,
        start="world",
        end="ball",
    )
    return Description(
        things=[make_frame(draw, height, 0.4), *tower, ball],
        ropes=[rope],
        prompt=f"{ball.substance.a()} ball on a rope is let go from the side, swings {{direction}} and knocks down a "
        f"stack of {count} blocks.",
        centre=(0.05, 0.0, 0.45),
        radius=0.85,
    )
