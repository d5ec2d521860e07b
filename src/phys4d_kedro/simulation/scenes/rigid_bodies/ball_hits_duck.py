"""A rolling ball hits a duck."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import make_ball, place_asset, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def ball_hits_duck(draw: Draw) -> Description:
    """A rolling ball hits a duck."""
    radius, speed = draw.uniform("radius", 0.1, 0.14), draw.uniform("speed", 1.4, 2.4)
    size = draw.uniform("duck_size", 0.28, 0.38)
    duck = place_asset(
        draw, "duck", assets.duck(size), (0.0, 0.0), turn=draw.uniform("turn", -70, 70), kinds=("rubber", "plastic")
    )
    ball = make_ball(
        draw,
        "ball",
        radius,
        (-0.3 - radius - draw.uniform("gap", 0.2, 0.5), draw.uniform("offset", -0.05, 0.05), radius),
        speed,
    )
    return Description(
        things=[ball, duck],
        prompt=f"{ball.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} and hits "
        f"{duck.substance.a(False)} duck.",
        centre=(0.0, 0.0, 0.15),
        radius=0.6,
    )
