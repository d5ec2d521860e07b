"""A ball rolls behind a box, is hidden, and comes out again."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import GAP, make_ball, make_block, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def roll_behind_box(draw: Draw) -> Description:
    """A ball rolls behind a box, is hidden, and comes out again."""
    radius, speed = draw.uniform("radius", 0.1, 0.15), draw.uniform("speed", 0.7, 1.1)
    half = (draw.uniform("box_half", 0.2, 0.28), 0.12, draw.uniform("box_height", 0.2, 0.28))
    box = make_block(draw_substance(draw, "box", size=0.4), "box", half, (0.0, -0.12, half[2] + GAP))
    ball = make_ball(draw, "ball", radius, (-0.75, 0.12 + radius, radius), speed)
    return Description(
        things=[box, ball],
        prompt=f"{ball.substance.a()} ball rolls {rolling_pace(speed)} {{direction}}, passes behind "
        f"{box.substance.a(False)} box and comes out on its other side.",
        centre=(0.0, 0.0, 0.15),
        radius=0.8,
        azimuths=(250.0, 290.0),
    )
