"""A weight falls on one end of a see-saw and throws up what lies on the other."""

import math

from phys4d_kedro.simulation.description import (
    Description,
    Joint,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder
from phys4d_kedro.simulation.scenes.pieces import (
    make_ball,
)
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def see_saw(draw: Draw) -> Description:
    """A weight falls on one end of a see-saw and throws up what lies on the other."""
    half, pivot = draw.uniform("half", 0.55, 0.7), draw.uniform("pivot", 0.12, 0.17)
    drop = draw.uniform("drop", 0.5, 0.8)
    tilt = math.asin((pivot - 0.02) / half)
    wood = draw_substance(draw, "board", size=0.4, kinds=("wooden", "plastic"))
    board = Thing(
        name="board",
        substance=wood,
        parts=[Part(shape=Box(half_extents=(half, 0.14, 0.015)))],
        position=(0.0, 0.0, pivot + 0.02),
        rotation=(0.0, math.degrees(tilt), 0.0),
        joint=Joint(kind="hinge", anchor=(0.0, 0.0, pivot + 0.02), axis=(0.0, 1.0, 0.0), damping=0.01),
    )
    stone = draw_substance(draw, "base", size=0.3, kinds=("stone", "wooden"))
    base = Thing(
        name="base",
        substance=stone,
        parts=[Part(shape=Cylinder(radius=pivot / 2, half_height=0.12), rotation=(90.0, 0.0, 0.0))],
        position=(0.0, 0.0, pivot / 2),
        fixed=True,
    )
    load = draw.uniform("load", 0.06, 0.08)
    reach = half - load - 0.05
    lift = 0.015 + load + 0.002
    on_board = (
        reach * math.cos(tilt) + lift * math.sin(tilt),
        0.0,
        pivot + 0.02 - reach * math.sin(tilt) + lift * math.cos(tilt),
    )
    light = Thing(
        name="block",
        substance=draw_substance(draw, "block", size=2 * load, kinds=("wooden", "plastic")),
        parts=[Part(shape=Box(half_extents=(load, load, load)))],
        position=on_board,
        rotation=(0.0, math.degrees(tilt), 0.0),
    )
    heavy_radius = draw.uniform("radius", 0.1, 0.13)
    heavy = make_ball(draw, "ball", heavy_radius, (-reach, 0.0, pivot + half * math.sin(tilt) + drop))
    return Description(
        things=[base, board, light, heavy],
        prompt=f"{heavy.substance.a()} ball falls on the raised end of {wood.a(False)} see-saw, and "
        f"{light.substance.a(False)} block on the other end is thrown up.",
        centre=(0.0, 0.0, 0.4),
        radius=0.9,
    )
