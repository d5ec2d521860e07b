"""A ball rolls across the empty ground."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def ball_hits_nothing(draw: Draw) -> Description:
    """A ball rolls across the empty ground."""
    radius, speed = draw.uniform("radius", 0.12, 0.2), draw.uniform("speed", 0.5, 0.9)
    ball = make_ball(draw, "ball", radius, (-0.8, draw.uniform("across", -0.2, 0.2), radius), speed)
    return Description(
        things=[ball],
        prompt=f"{ball.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} and meets nothing.",
        centre=(0.0, 0.0, 0.15),
        radius=0.9,
    )
