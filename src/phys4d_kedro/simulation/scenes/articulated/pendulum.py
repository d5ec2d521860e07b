"""A weight on a rod swings."""

import math

from phys4d_kedro.simulation.description import (
    Description,
    Joint,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Cylinder, Sphere
from phys4d_kedro.simulation.scenes.pieces import (
    make_frame,
)
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def pendulum(draw: Draw) -> Description:
    """A weight on a rod swings."""
    length, radius = draw.uniform("length", 0.7, 1.0), draw.uniform("radius", 0.1, 0.15)
    angle = draw.sign("side") * draw.uniform("angle", 35, 70)
    height = length + 0.35
    tilt = math.radians(angle)
    bob = draw_substance(draw, "bob", size=2 * radius)
    rod = Part(shape=Cylinder(radius=0.015, half_height=length / 2), position=(0.0, 0.0, length / 2))
    pendulum = Thing(
        name="pendulum",
        substance=bob,
        parts=[Part(shape=Sphere(radius=radius)), rod],
        position=(-length * math.sin(tilt), 0.0, height - length * math.cos(tilt)),
        rotation=(0.0, angle, 0.0),
        joint=Joint(kind="hinge", anchor=(0.0, 0.0, height), axis=(0.0, 1.0, 0.0), damping=0.002),
    )
    frame = make_frame(draw, height, 0.35)
    return Description(
        things=[frame, pendulum],
        prompt=f"{bob.a()} weight on a rod is let go from the side and swings to and fro under a frame.",
        centre=(0.0, 0.0, 0.6 * height),
        radius=0.85,
    )
