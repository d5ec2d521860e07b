"""A ball is let go on a ramp and rolls down."""

import math

from phys4d_kedro.simulation.description import Description, Part, Thing
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import make_ball
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def ball_ramp(draw: Draw) -> Description:
    """A ball is let go on a ramp and rolls down."""
    angle = draw.uniform("angle", 15, 32)
    length = draw.uniform("length", 0.9, 1.3)
    radius = draw.uniform("radius", 0.13, 0.2)
    wood = draw_substance(draw, "ramp", size=0.4, kinds=("wooden", "plastic", "stone"))
    slope = math.radians(angle)
    thickness = 0.03
    height = 0.5 * length * math.sin(slope) + thickness * math.cos(slope)
    ramp = Thing(
        name="ramp",
        substance=wood,
        parts=[Part(shape=Box(half_extents=(length / 2, 0.3, thickness)))],
        position=(-0.35, 0.0, height),
        rotation=(0.0, angle, 0.0),
        fixed=True,
    )
    back = 0.5 * length - radius - 0.02
    lift = thickness + radius + 0.001
    x = -0.35 - back * math.cos(slope) + lift * math.sin(slope)
    z = height + back * math.sin(slope) + lift * math.cos(slope)
    ball = make_ball(draw, "ball", radius, (x, draw.uniform("across", -0.12, 0.12), z))
    return Description(
        things=[ramp, ball],
        prompt=f"{ball.substance.a()} ball rolls down {wood.a(False)} ramp {{direction}}, onto the ground.",
        centre=(-0.1, 0.0, 0.25),
        radius=0.8,
    )
