"""A kettlebell falls on a pillow."""

import numpy as np

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
    SoftBody,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import place_asset
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_soft


@scene("soft_bodies")
def weight_on_pillow(draw: Draw) -> Description:
    """A kettlebell falls on a pillow."""
    asset = assets.pillow(0.6)
    length, width, thickness = np.ptp(asset.mesh.vertices, axis=0).tolist()
    pillow = SoftBody(
        name="pillow",
        substance=draw_soft(draw, "pillow", density=250),
        size=(length, width, thickness),
        cells=(6, 6, 2),
        rounded=False,
        mesh=asset.mesh,
        position=(0.0, 0.0, thickness / 2 + 0.006),
        young=draw.uniform("young", 1.5e4, 2.5e4),
        damping=0.02,
    )
    weight = place_asset(
        draw,
        "kettlebell",
        assets.kettlebell(draw.uniform("weight_size", 0.2, 0.26)),
        (draw.uniform("x", -0.05, 0.05), 0.0),
        above=thickness + draw.uniform("drop", 0.2, 0.4),
        turn=draw.uniform("turn", 0, 360),
        kinds=("stone", "plastic"),
    )
    return Description(
        things=[weight],
        soft_bodies=[pillow],
        prompt=f"{weight.substance.a()} kettlebell falls on {pillow.substance.a(False)} pillow and sinks in.",
        centre=(0.0, 0.0, 0.25),
        radius=0.6,
    )
