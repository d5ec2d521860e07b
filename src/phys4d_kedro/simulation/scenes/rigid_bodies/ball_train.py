"""A rolling ball hits a row of touching balls."""

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def ball_train(draw: Draw) -> Description:
    """A rolling ball hits a row of touching balls."""
    radius = draw.uniform("radius", 0.1, 0.15)
    count = draw.integer("count", 2, 4)
    speed = draw.uniform("speed", 1.0, 2.2)
    row = [make_ball(draw, f"ball_{k}", radius, (k * (2 * radius + 0.002), 0.0, radius)) for k in range(count)]
    moving = make_ball(draw, "ball", radius, (-2 * radius - draw.uniform("gap", 0.25, 0.5), 0.0, radius), speed)
    return Description(
        things=[moving, *row],
        prompt=f"{moving.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} into a row of {count} resting "
        "balls, "
        "and the last one rolls away.",
        centre=(0.25, 0.0, 0.1),
        radius=0.9,
    )
