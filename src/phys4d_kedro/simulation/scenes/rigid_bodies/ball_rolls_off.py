"""A ball rolls over the edge of a table and falls."""

from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import GAP, make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def ball_rolls_off(draw: Draw) -> Description:
    """A ball rolls over the edge of a table and falls."""
    radius, speed = draw.uniform("radius", 0.08, 0.13), draw.uniform("speed", 0.6, 1.1)
    height, half = draw.uniform("table_height", 0.4, 0.6), draw.uniform("table_half", 0.35, 0.45)
    wood = draw_substance(draw, "table", size=0.5, kinds=("wooden", "plastic", "stone"))
    top = Part(shape=Box(half_extents=(half, 0.3, 0.03)), position=(0.0, 0.0, -0.03))
    leg = Box(half_extents=(0.03, 0.03, height / 2 - 0.03))
    places = [(x * (half - 0.05), y * 0.25, -height / 2 - 0.03) for x in (-1, 1) for y in (-1, 1)]
    legs = [Part(shape=leg, position=place) for place in places]
    table = Thing(name="table", substance=wood, parts=[top, *legs], position=(-0.3, 0.0, height), fixed=True)
    ball = make_ball(
        draw, "ball", radius, (-0.3 - 0.5 * half, draw.uniform("across", -0.1, 0.1), height + radius + GAP), speed
    )
    return Description(
        things=[table, ball],
        prompt=f"{ball.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} over {wood.a(False)} table, "
        "falls off its edge and bounces on the ground.",
        centre=(-0.1, 0.0, 0.3),
        radius=0.8,
    )
