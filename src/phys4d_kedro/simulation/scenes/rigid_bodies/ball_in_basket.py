"""A ball drops into a basket."""

import math

from phys4d_kedro.simulation.description import Description, Part, Thing
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder
from phys4d_kedro.simulation.scenes.pieces import make_ball
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def ball_in_basket(draw: Draw) -> Description:
    """A ball drops into a basket."""
    wide = draw.uniform("basket_radius", 0.28, 0.38)
    high = draw.uniform("basket_height", 0.12, 0.2)
    wicker = draw_substance(draw, "basket", size=0.3, kinds=("wooden", "plastic"))
    staves = 12
    half = wide * math.tan(math.pi / staves) + 0.01
    walls = [
        Part(
            shape=Box(half_extents=(0.015, half, high)),
            position=(
                wide * math.cos(2 * math.pi * k / staves),
                wide * math.sin(2 * math.pi * k / staves),
                high + 0.03,
            ),
            rotation=(0.0, 0.0, 360.0 * k / staves),
        )
        for k in range(staves)
    ]
    bottom = Part(shape=Cylinder(radius=wide, half_height=0.015), position=(0.0, 0.0, 0.016))
    basket = Thing(name="basket", substance=wicker, parts=[bottom, *walls], position=(0.0, 0.0, 0.0), fixed=True)
    radius = draw.uniform("radius", 0.12, 0.18)
    room = wide - radius - 0.05
    ball = make_ball(
        draw,
        "ball",
        radius,
        (
            draw.uniform("x", -0.8, 0.8) * room,
            draw.uniform("y", -0.5, 0.5) * room,
            draw.uniform("drop", 0.6, 1.0) + radius,
        ),
    )
    return Description(
        things=[basket, ball],
        prompt=f"{ball.substance.a()} ball falls into {wicker.a(False)} basket and bounces in it.",
        centre=(0.0, 0.0, 0.4),
        radius=0.7,
    )
