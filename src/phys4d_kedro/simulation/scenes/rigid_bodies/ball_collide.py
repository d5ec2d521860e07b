"""A rolling ball hits a resting one."""

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def ball_collide(draw: Draw) -> Description:
    """A rolling ball hits a resting one."""
    radius, other = draw.uniform("radius", 0.12, 0.2), draw.uniform("other_radius", 0.12, 0.2)
    speed = draw.uniform("speed", 0.7, 2.0)
    gap = draw.uniform("gap", 0.25, 0.6)
    offset = draw.uniform("offset", -0.4, 0.4) * (radius + other)
    moving = make_ball(draw, "ball", radius, (-radius - other - gap, offset, radius), speed)
    resting = make_ball(draw, "target", other, (0.0, 0.0, other))
    return Description(
        things=[moving, resting],
        prompt=f"{moving.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} and hits a resting "
        f"{resting.substance.words} ball.",
        centre=(0.2, 0.0, 0.15),
        radius=0.9,
    )
