"""A soft ball falls and bounces, flattening as it lands."""

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
    SoftBody,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_soft


@scene("soft_bodies")
def soft_ball_bounce(draw: Draw) -> Description:
    """A soft ball falls and bounces, flattening as it lands."""
    radius, drop = draw.uniform("radius", 0.15, 0.2), draw.uniform("drop", 0.4, 0.7)
    ball = SoftBody(
        name="ball",
        substance=draw_soft(draw, "ball"),
        size=(2 * radius, 2 * radius, 2 * radius),
        cells=(5, 5, 5),
        rounded=True,
        mesh=assets.sphere(radius).mesh,
        position=(0.0, 0.0, drop + radius),
        young=draw.uniform("young", 5e4, 9e4),
        damping=0.001,
    )
    return Description(
        soft_bodies=[ball],
        prompt=f"{ball.substance.a()} soft ball falls to the ground, flattens as it lands and bounces.",
        centre=(0.0, 0.0, 0.4),
        radius=0.65,
    )
