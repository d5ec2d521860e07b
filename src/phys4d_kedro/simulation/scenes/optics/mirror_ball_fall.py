"""A mirroring ball falls and bounces, and shows the room."""

from phys4d_kedro.simulation.description import (
    Description,
    Lighting,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Sphere
from phys4d_kedro.simulation.scenes.pieces import GAP, make_block
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_mirror


@scene("optics")
def mirror_ball_fall(draw: Draw) -> Description:
    """A mirroring ball falls and bounces, and shows the room."""
    radius = draw.uniform("radius", 0.16, 0.22)
    metal = draw_mirror(draw, "ball")
    ball = Thing(
        name="ball",
        substance=metal,
        parts=[Part(shape=Sphere(radius=radius))],
        position=(0.0, 0.0, draw.uniform("drop", 0.5, 0.9) + radius),
    )
    block = make_block(
        draw_substance(draw, "block", size=0.25),
        "block",
        (0.1, 0.1, 0.12),
        (radius + 0.3, draw.uniform("y", -0.2, 0.2), 0.12 + GAP),
        draw.uniform("turn", 0, 90),
    )
    return Description(
        things=[ball, block],
        lighting=Lighting(indoor=True, lamp=0.6),
        prompt=f"{metal.a()} ball, which reflects the room and {block.substance.a(False)} block beside it, falls to "
        "the ground and bounces.",
        centre=(0.1, 0.0, 0.5),
        radius=0.85,
    )
