"""A rope that hangs on one end is let go from the side and swings."""

import math

from phys4d_kedro.simulation.description import (
    Description,
    Rope,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import (
    make_frame,
)
from phys4d_kedro.simulation.scenes.registry import scene


@scene("ropes")
def swinging_rope(draw: Draw) -> Description:
    """A rope that hangs on one end is let go from the side and swings."""
    length, radius = draw.uniform("length", 0.7, 0.95), draw.uniform("radius", 0.02, 0.03)
    height = length + 0.3
    angle = math.radians(draw.sign("side") * draw.uniform("angle", 60, 95))
    end = (-length * math.sin(angle), 0.0, height - length * math.cos(angle))
    rope = Rope(
        name="rope",
        substance=draw_substance(draw, "rope", size=0.15, kinds=("rubber", "plastic")),
        points=[(0.0, 0.0, height), end],
        radius=radius,
        start="world",
    )
    return Description(
        things=[make_frame(draw, height, 0.35)],
        ropes=[rope],
        prompt=f"{rope.substance.a()} rope hangs from a beam; its end is let go from the side and it swings.",
        centre=(0.0, 0.0, 0.6 * height),
        radius=0.85,
    )
