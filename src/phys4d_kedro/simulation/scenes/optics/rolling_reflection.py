"""A ball rolls past in front of a standing mirror and shows in it."""

from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_mirror


@scene("optics")
def rolling_reflection(draw: Draw) -> Description:
    """A ball rolls past in front of a standing mirror and shows in it."""
    radius, speed = draw.uniform("radius", 0.12, 0.17), draw.uniform("speed", 0.6, 1.0)
    high = draw.uniform("mirror_height", 0.26, 0.32)
    silver = draw_mirror(draw, "mirror")
    pane = Thing(
        name="mirror",
        substance=silver,
        parts=[Part(shape=Box(half_extents=(0.6, 0.01, high)))],
        position=(0.0, 0.25, high + 0.03),
        fixed=True,
    )
    wood = draw_substance(draw, "frame", size=0.2, kinds=("wooden", "plastic"))
    frame = Thing(
        name="frame",
        substance=wood,
        parts=[Part(shape=Box(half_extents=(0.64, 0.02, high + 0.03)), position=(0.0, 0.282, high + 0.031))],
        position=(0.0, 0.0, 0.0),
        fixed=True,
    )
    ball = make_ball(draw, "ball", radius, (-0.7, -0.05, radius), speed)
    return Description(
        things=[pane, frame, ball],
        prompt=f"{ball.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} in front of a standing mirror, "
        "in which its reflection rolls along.",
        centre=(0.0, 0.1, 0.25),
        radius=0.75,
        azimuths=(245.0, 295.0),
    )
