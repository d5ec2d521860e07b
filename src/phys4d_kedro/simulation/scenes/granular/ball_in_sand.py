"""A ball falls into a tray of sand and leaves a crater."""

from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.flowing import around, filled, make_tray
from phys4d_kedro.simulation.scenes.pieces import (
    make_ball,
)
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_sand


@scene("granular")
def ball_in_sand(draw: Draw) -> Description:
    """A ball falls into a tray of sand and leaves a crater."""
    inner = (draw.uniform("length", 0.5, 0.58), 0.42, 0.13)
    sand, radius = draw_sand(draw, "sand"), draw.uniform("radius", 0.07, 0.1)
    wood = draw_substance(draw, "tray", size=0.4, kinds=("wooden", "plastic", "stone"))
    ball = make_ball(
        draw,
        "ball",
        radius,
        (
            draw.uniform("x", -0.08, 0.08),
            draw.uniform("y", -0.05, 0.05),
            inner[2] + radius + draw.uniform("drop", 0.5, 0.8),
        ),
    )
    heavy = draw_substance(draw, "weight", size=2 * radius, kinds=("metal", "stone"))
    ball = replace(ball, substance=heavy)
    return Description(
        things=[make_tray(wood, inner, 0.06), ball],
        matter=[
            filled(
                "sand",
                sand,
                (-inner[0] / 2, -0.21, 0.0),
                (inner[0] / 2, 0.21, inner[2] - 0.02),
                kind="granular",
                friction_angle=draw.uniform("angle", 24, 32),
            )
        ],
        grid=around((0.45, 0.37), 0.6, 0.028),
        prompt=f"{heavy.a()} ball falls into a tray of {sand.words} and makes a crater.",
        centre=(0.0, 0.0, 0.42),
        radius=0.62,
    )
