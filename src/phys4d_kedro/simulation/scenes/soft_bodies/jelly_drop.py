"""A cube of jelly falls, wobbles and comes to rest."""

from phys4d_kedro.simulation.description import (
    Description,
    SoftBody,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_soft


@scene("soft_bodies")
def jelly_drop(draw: Draw) -> Description:
    """A cube of jelly falls, wobbles and comes to rest."""
    half, drop = draw.uniform("half", 0.14, 0.18), draw.uniform("drop", 0.25, 0.45)
    jelly = SoftBody(
        name="jelly",
        substance=draw_soft(draw, "jelly"),
        size=(2 * half, 2 * half, 2 * half),
        cells=(4, 4, 4),
        position=(0.0, 0.0, drop + half),
        rotation=(draw.uniform("tilt", -25, 25), 0.0, draw.uniform("turn", 0, 90)),
        young=draw.uniform("young", 5e4, 9e4),
        damping=0.003,
    )
    return Description(
        soft_bodies=[jelly],
        prompt=f"{jelly.substance.a()} cube of jelly falls to the ground, flattens and wobbles.",
        centre=(0.0, 0.0, 0.3),
        radius=0.55,
    )
