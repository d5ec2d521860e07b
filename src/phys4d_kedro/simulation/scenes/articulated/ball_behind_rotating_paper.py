"""A card turns on a platform before a ball, hides it and shows it again."""

from phys4d_kedro.simulation.description import (
    Description,
    Joint,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder
from phys4d_kedro.simulation.scenes.pieces import make_ball
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def ball_behind_rotating_paper(draw: Draw) -> Description:
    """A card turns on a platform before a ball, hides it and shows it again."""
    radius, speed = draw.uniform("radius", 0.12, 0.16), draw.sign("side") * draw.uniform("speed", 60, 110)
    table = Part(shape=Cylinder(radius=0.4, half_height=0.015), position=(0.0, 0.0, 0.017))
    card = Part(
        shape=Box(half_extents=(0.34, 0.006, draw.uniform("card_height", 0.2, 0.28))), position=(0.0, 0.0, 0.33)
    )
    platform = Thing(
        name="platform",
        substance=draw_substance(draw, "platform", size=0.4, kinds=("plastic", "wooden")),
        parts=[table, card],
        position=(0.0, 0.0, 0.0),
        rotation=(0.0, 0.0, 20.0),
        joint=Joint(kind="hinge", anchor=(0.0, 0.0, 0.0), axis=(0.0, 0.0, 1.0), drive=((0.0, 0.0), (10.0, 10 * speed))),
    )
    ball = make_ball(draw, "ball", radius, (0.0, 0.62, radius))
    return Description(
        things=[platform, ball],
        prompt=f"A card stands upright on {platform.substance.a(False)} platform that turns "
        f"{'anticlockwise' if speed > 0 else 'clockwise'} as seen from above; {ball.substance.a(False)} ball "
        "lies behind it, hidden and seen by turns.",
        centre=(0.0, 0.2, 0.25),
        radius=0.75,
        azimuths=(250.0, 290.0),
        unseen=["ball"],
    )
