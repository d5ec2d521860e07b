"""Smoke rises against a ball and flows round it."""

from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
    Gas,
    GasSource,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.scenes.pieces import make_ball
from phys4d_kedro.simulation.scenes.registry import scene


@scene("thermodynamics")
def smoke_around_ball(draw: Draw) -> Description:
    """Smoke rises against a ball and flows round it."""
    grey = draw.uniform("grey", 0.25, 0.8)
    radius, height = draw.uniform("radius", 0.1, 0.13), draw.uniform("height", 0.5, 0.58)
    ball = make_ball(draw, "ball", radius, (draw.uniform("x", -0.03, 0.03), 0.0, height))
    post = Part(shape=Cylinder(radius=0.01, half_height=height / 2), position=(0.0, 0.0, 0.0))
    held = replace(ball, fixed=True)
    stand = Thing(
        name="stand",
        substance=draw_substance(draw, "stand", size=0.1, kinds=("metal",)),
        parts=[
            replace(post, position=(0.0, 0.3, height / 2)),
            Part(
                shape=Cylinder(radius=0.01, half_height=0.15), position=(0.0, 0.15, height), rotation=(90.0, 0.0, 0.0)
            ),
        ],
        colliders=(),
        position=(0.0, 0.0, 0.0),
        fixed=True,
    )
    smoke = GasSource(
        position=(0.0, 0.0, 0.07),
        radius=draw.uniform("source", 0.05, 0.065),
        heat=draw.uniform("heat", 60, 120),
        smoke=draw.uniform("smoke", 20, 35),
    )
    gas = Gas(
        name="smoke",
        lower=(-0.34, -0.34, 0.0),
        upper=(0.34, 0.34, 1.1),
        cell=0.02,
        sources=[smoke],
        colour=(grey, grey, grey),
    )
    return Description(
        things=[held, stand],
        gas=gas,
        prompt=f"Smoke rises from the ground against {ball.substance.a(False)} ball on a stand and flows round it.",
        centre=(0.0, 0.0, 0.5),
        radius=0.6,
    )
