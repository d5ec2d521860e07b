"""A turning paddle sweeps a ball away."""

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
def rotor(draw: Draw) -> Description:
    """A turning paddle sweeps a ball away."""
    speed, radius = draw.uniform("speed", 90, 170), draw.uniform("radius", 0.1, 0.13)
    side = draw.sign("side")
    arm = draw.uniform("arm", 0.42, 0.5)
    paddle = Thing(
        name="paddle",
        substance=draw_substance(draw, "paddle", size=0.3),
        parts=[
            Part(shape=Box(half_extents=(arm, 0.03, 0.09))),
            Part(shape=Box(half_extents=(0.03, arm, 0.09))),
            Part(shape=Cylinder(radius=0.07, half_height=0.13)),
        ],
        position=(0.0, 0.0, 0.14),
        joint=Joint(
            kind="hinge",
            anchor=(0.0, 0.0, 0.0),
            axis=(0.0, 0.0, 1.0),
            drive=((0.0, 0.0), (0.5, side * 0.25 * speed), (10.0, side * 9.75 * speed)),
        ),
    )
    angle = math.radians(draw.uniform("angle", 40, 50))
    ball = make_ball(draw, "ball", radius, (0.36 * math.cos(angle), 0.36 * math.sin(angle), radius))
    turning = "anticlockwise" if side > 0 else "clockwise"
    return Description(
        things=[paddle, ball],
        prompt=f"{paddle.substance.a()} rotor with four arms begins to turn {turning} as seen from above and sweeps "
        f"{ball.substance.a(False)} ball away.",
        centre=(0.0, 0.0, 0.12),
        radius=0.8,
    )
