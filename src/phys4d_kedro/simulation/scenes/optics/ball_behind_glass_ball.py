"""A ball rolls behind a ball of glass, which shows it upside down and the wrong way round."""

from phys4d_kedro.simulation.description import (
    Description,
    Lighting,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.scene import Sphere
from phys4d_kedro.simulation.scenes.pieces import make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_glass


@scene("optics")
def ball_behind_glass_ball(draw: Draw) -> Description:
    """A ball rolls behind a ball of glass, which shows it upside down and the wrong way round."""
    radius, speed = draw.uniform("radius", 0.08, 0.11), draw.uniform("speed", 0.5, 0.8)
    big = draw.uniform("glass_radius", 0.24, 0.3)
    glass = draw_glass(draw, "lens")
    lens = Thing(
        name="lens",
        substance=glass,
        parts=[Part(shape=Sphere(radius=big))],
        position=(0.0, 0.0, big + 0.02),
        fixed=True,
    )
    ball = make_ball(draw, "ball", radius, (-0.6, big + radius + draw.uniform("behind", 0.15, 0.3), radius), speed)
    return Description(
        things=[lens, ball],
        lighting=Lighting(indoor=True, lamp=0.8),
        prompt=f"{ball.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} behind a large ball of "
        f"{glass.words}, in which it appears upside down and moves the other way.",
        centre=(0.0, 0.1, 0.25),
        radius=0.65,
        azimuths=(255.0, 285.0),
    )
