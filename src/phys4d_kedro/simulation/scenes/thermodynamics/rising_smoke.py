"""Smoke rises from a smouldering stick."""

from phys4d_kedro.simulation.description import (
    Description,
    Gas,
    GasSource,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.scenes.registry import scene


@scene("thermodynamics")
def rising_smoke(draw: Draw) -> Description:
    """Smoke rises from a smouldering stick."""
    grey = draw.uniform("grey", 0.25, 0.8)
    height = draw.uniform("stick_height", 0.12, 0.2)
    stick = draw_substance(draw, "stick", size=0.1, kinds=("wooden", "stone"))
    base = Thing(
        name="stick",
        substance=stick,
        parts=[
            Part(shape=Cylinder(radius=0.015, half_height=height / 2), position=(0.0, 0.0, height / 2)),
            Part(shape=Cylinder(radius=0.08, half_height=0.012), position=(0.0, 0.0, 0.013)),
        ],
        colliders=(),
        position=(0.0, 0.0, 0.0),
        fixed=True,
    )
    smoke = GasSource(
        position=(0.0, 0.0, height + 0.03),
        radius=draw.uniform("radius", 0.035, 0.05),
        heat=draw.uniform("heat", 60, 140),
        smoke=draw.uniform("smoke", 25, 45),
    )
    wind = draw.uniform("wind", -0.15, 0.15)
    gas = Gas(
        name="smoke",
        lower=(-0.32, -0.32, 0.0),
        upper=(0.32, 0.32, 1.12),
        cell=0.018,
        sources=[smoke],
        colour=(grey, grey, grey),
        wind=(wind, 0.0, 0.0),
    )
    drifts = "spreads in the still air" if abs(wind) < 0.05 else f"drifts {'{direction}' if wind > 0 else '{opposite}'}"
    return Description(
        things=[base],
        gas=gas,
        prompt=f"Smoke rises from {stick.a(False)} stick, curls and {drifts}.",
        centre=(0.0, 0.0, 0.5),
        radius=0.6,
    )
