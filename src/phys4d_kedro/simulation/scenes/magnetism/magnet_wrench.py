"""A magnet pulls a wrench along the ground until it snaps on."""

from dataclasses import replace

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.scenes.pieces import GAP, place_asset
from phys4d_kedro.simulation.scenes.registry import scene


@scene("magnetism")
def magnet_wrench(draw: Draw) -> Description:
    """A magnet pulls a wrench along the ground until it snaps on."""
    length = draw.uniform("length", 0.42, 0.5)
    wrench = place_asset(draw, "wrench", assets.wrench(length), (0.0, 0.0), kinds=("metal",))
    wrench = replace(
        wrench,
        substance=replace(wrench.substance, friction=0.15, density=3000.0),
        magnet=(draw.uniform("wrench_moment", 150, 220), 0.0, 0.0),
    )
    radius, high = draw.uniform("radius", 0.08, 0.11), 0.06
    steel = draw_substance(draw, "magnet", size=0.2, kinds=("metal",))
    magnet = Thing(
        name="magnet",
        substance=steel,
        parts=[Part(shape=Cylinder(radius=radius, half_height=high))],
        position=(length / 2 + radius + draw.uniform("gap", 0.14, 0.2), 0.0, high + GAP),
        fixed=True,
        magnet=(draw.uniform("moment", 2200, 3000), 0.0, 0.0),
    )
    return Description(
        things=[magnet, wrench],
        prompt=f"{wrench.substance.a()} wrench on the ground is pulled {{direction}} by {steel.a(False)} magnet and "
        "snaps on to it.",
        centre=(0.15, 0.0, 0.05),
        radius=0.55,
    )
