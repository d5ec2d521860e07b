"""A ball falls on a sponge, which gives way and throws it back a little."""

from phys4d_kedro.simulation.description import (
    Description,
    SoftBody,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import make_ball
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_soft


@scene("soft_bodies")
def ball_on_sponge(draw: Draw) -> Description:
    """A ball falls on a sponge, which gives way and throws it back a little."""
    size = (draw.uniform("length", 0.5, 0.6), 0.4, draw.uniform("thickness", 0.16, 0.22))
    sponge = SoftBody(
        name="sponge",
        substance=draw_soft(draw, "sponge", density=300),
        size=size,
        cells=(6, 5, 3),
        position=(0.0, 0.0, size[2] / 2 + 0.006),
        young=draw.uniform("young", 3e4, 6e4),
        damping=0.006,
    )
    radius = draw.uniform("radius", 0.09, 0.13)
    ball = make_ball(
        draw, "ball", radius, (draw.uniform("x", -0.08, 0.08), 0.0, size[2] + radius + draw.uniform("drop", 0.3, 0.6))
    )
    return Description(
        things=[ball],
        soft_bodies=[sponge],
        prompt=f"{ball.substance.a()} ball falls on {sponge.substance.a(False)} sponge, sinks in and is thrown back.",
        centre=(0.0, 0.0, 0.3),
        radius=0.6,
    )
