"""A chain held at both ends is let go at one of them."""

import numpy as np

from phys4d_kedro.simulation.description import (
    Description,
    Rope,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import make_frame
from phys4d_kedro.simulation.scenes.registry import scene


@scene("ropes")
def falling_chain(draw: Draw) -> Description:
    """A chain held at both ends is let go at one of them."""
    half, radius = draw.uniform("half", 0.35, 0.45), draw.uniform("radius", 0.022, 0.028)
    height, sag = draw.uniform("height", 0.95, 1.1), draw.uniform("sag", 0.25, 0.4)
    side = draw.sign("side")
    x = np.linspace(-half, half, 15)
    points = [(float(-side * a), 0.0, float(height - sag * (1 - (a / half) ** 2))) for a in x]
    chain = Rope(
        name="chain",
        substance=draw_substance(draw, "chain", size=0.1, kinds=("metal",)),
        points=points,
        radius=radius,
        segment=2.6 * radius,
        start="world",
        chain=True,
    )
    return Description(
        things=[make_frame(draw, height, half + 0.02, along="x")],
        ropes=[chain],
        prompt=f"{chain.substance.a()} chain hangs in a bow under a beam; one end is let go, and the chain swings "
        f"down {'{opposite}' if side > 0 else '{direction}'} and hangs from the other.",
        centre=(0.0, 0.0, 0.6),
        radius=0.75,
        azimuths=(225.0, 315.0),
    )
