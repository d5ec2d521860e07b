"""A column of sand is let go and slides into a heap."""

from phys4d_kedro.simulation.description import (
    Description,
    Matter,
    Part,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.scenes.flowing import around
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_sand


@scene("granular")
def sand_column_collapse(draw: Draw) -> Description:
    """A column of sand is let go and slides into a heap."""
    sand, radius, height = (
        draw_sand(draw, "sand"),
        draw.uniform("radius", 0.12, 0.15),
        draw.uniform("height", 0.32, 0.42),
    )
    column = Part(shape=Cylinder(radius=radius, half_height=height / 2), position=(0.0, 0.0, height / 2))
    heap = Matter(
        name="sand",
        words=sand.words,
        kind="granular",
        material=sand.material,
        blocks=[column],
        density=sand.density,
        friction_angle=draw.uniform("angle", 28, 38),
    )
    return Description(
        matter=[heap],
        grid=around((0.6, 0.6), height + 0.08, 0.028),
        prompt=f"A standing column of {sand.words} is let go and slides apart into a heap.",
        centre=(0.0, 0.0, 0.15),
        radius=0.5,
    )
