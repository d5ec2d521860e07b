"""Two rods, one hanging on the other, swing wildly."""

import math

import numpy as np

from phys4d_kedro.simulation.description import (
    Description,
    Joint,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Sphere
from phys4d_kedro.simulation.scenes.pieces import (
    make_frame,
)
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def double_pendulum(draw: Draw) -> Description:
    """Two rods, one hanging on the other, swing wildly."""
    first, second = draw.uniform("first", 0.4, 0.5), draw.uniform("second", 0.35, 0.45)
    angle = draw.sign("side") * draw.uniform("angle", 80, 120)
    height = first + second + 0.35
    tilt = math.radians(angle)
    out = np.array([-math.sin(tilt), 0.0, -math.cos(tilt)])
    top = np.array([0.0, 0.0, height])
    arms = []
    for k, (length, reach, to) in enumerate(((first, 0.0, None), (second, first, "arm_0"))):
        start = top + reach * out
        middle = start + 0.5 * length * out + np.array([0.0, 0.07 * k, 0.0])
        arms.append(
            Thing(
                name=f"arm_{k}",
                substance=draw_substance(draw, f"arm_{k}", size=0.1),
                parts=[
                    Part(shape=Box(half_extents=(0.03, 0.025, length / 2))),
                    Part(shape=Sphere(radius=0.06), position=(0.0, 0.0, -length / 2)),
                ],
                position=tuple(middle.tolist()),
                rotation=(0.0, angle, 0.0),
                joint=Joint(kind="hinge", anchor=tuple(start.tolist()), axis=(0.0, 1.0, 0.0), to=to),
            )
        )
    frame = make_frame(draw, height, 0.35)
    return Description(
        things=[frame, *arms],
        prompt=f"A double pendulum of {arms[0].substance.a(False)} arm and {arms[1].substance.a(False)} arm hanging "
        "on its end is let go from high up and swings wildly.",
        centre=(0.0, 0.0, 0.6 * height),
        radius=1.0,
    )
