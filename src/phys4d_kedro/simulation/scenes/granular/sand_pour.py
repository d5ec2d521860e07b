"""Sand is poured on the ground and piles up."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.flowing import around, poured
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_sand


@scene("granular")
def sand_pour(draw: Draw) -> Description:
    """Sand is poured on the ground and piles up."""
    sand = draw_sand(draw, "sand")
    pile = poured(
        "sand",
        sand,
        (0.0, 0.0, draw.uniform("height", 0.42, 0.5)),
        draw.uniform("speed", 0.9, 1.3),
        draw.uniform("nozzle", 0.05, 0.065),
        kind="granular",
        friction_angle=draw.uniform("angle", 30, 40),
    )
    return Description(
        matter=[pile],
        grid=around((0.5, 0.5), 0.58, 0.028),
        prompt=f"{sand.words.capitalize()} is poured from above and piles up in a cone on the ground.",
        centre=(0.0, 0.0, 0.2),
        radius=0.48,
    )
