"""Two balls roll past each other in opposite directions."""

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def two_balls_pass(draw: Draw) -> Description:
    """Two balls roll past each other in opposite directions."""
    radius, other = draw.uniform("radius", 0.12, 0.2), draw.uniform("other_radius", 0.12, 0.2)
    speed, other_speed = draw.uniform("speed", 0.6, 1.2), draw.uniform("other_speed", 0.6, 1.2)
    lane = radius + other + draw.uniform("clearance", 0.05, 0.3)
    first = make_ball(draw, "ball", radius, (-0.9, -lane / 2, radius), speed)
    second = make_ball(draw, "other", other, (0.9, lane / 2, other), -other_speed)
    return Description(
        things=[first, second],
        prompt=f"{first.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} and {second.substance.a(False)} "
        "ball "
        f"{rolling_pace(other_speed)} {{opposite}}; they pass each other.",
        centre=(0.0, 0.0, 0.15),
        radius=1.0,
    )
