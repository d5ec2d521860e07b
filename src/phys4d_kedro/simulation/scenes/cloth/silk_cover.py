"""A cloth falls over a ball and covers it."""

from phys4d_kedro.simulation.description import (
    Cloth,
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import GAP, make_ball
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_cloth


@scene("cloth")
def silk_cover(draw: Draw) -> Description:
    """A cloth falls over a ball and covers it."""
    radius = draw.uniform("radius", 0.16, 0.22)
    side = draw.uniform("side", 0.8, 1.0)
    ball = make_ball(draw, "ball", radius, (0.0, 0.0, radius + GAP))
    cloth = Cloth(
        name="cloth",
        substance=draw_cloth(draw, "cloth"),
        size=(side, side),
        cells=(18, 18),
        weight=draw.uniform("weight", 0.15, 0.3),
        position=(
            draw.uniform("x", -0.06, 0.06),
            draw.uniform("y", -0.06, 0.06),
            2 * radius + draw.uniform("drop", 0.12, 0.3),
        ),
        rotation=(0.0, 0.0, draw.uniform("turn", 0, 90)),
    )
    return Description(
        things=[ball],
        cloths=[cloth],
        prompt=f"{cloth.substance.a()} silk cloth falls over {ball.substance.a(False)} ball and covers it.",
        centre=(0.0, 0.0, 0.25),
        radius=0.65,
    )
