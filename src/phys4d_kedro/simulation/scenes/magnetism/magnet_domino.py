"""A magnet comes near a standing one, pushes it over without touching it, and a row of blocks topples."""

from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
    Joint,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import GAP, make_block
from phys4d_kedro.simulation.scenes.registry import scene


@scene("magnetism")
def magnet_domino(draw: Draw) -> Description:
    """A magnet comes near a standing one, pushes it over without touching it, and a row of blocks topples."""
    count, height = draw.integer("count", 3, 4), draw.uniform("height", 0.16, 0.2)
    thickness, width, pitch = 0.18 * height, 0.4 * height, height * draw.uniform("pitch", 0.7, 0.9)
    half = (thickness, width, height)
    steel = replace(draw_substance(draw, "standing", size=height, kinds=("metal",)), density=1200.0)
    wood = draw_substance(draw, "block", size=height, kinds=("wooden", "plastic"))
    standing = replace(
        make_block(steel, "magnet", half, (-0.15, 0.0, height + GAP)),
        magnet=(-draw.uniform("moment", 300, 360), 0.0, 0.0),
    )
    rest = [
        make_block(wood, f"block_{k}", half, (-0.15 + 2 * thickness + (k + 1) * pitch, 0.0, height + GAP))
        for k in range(count)
    ]
    start, reach = -0.95, draw.uniform("reach", 0.45, 0.5)
    driver = Thing(
        name="driver",
        substance=draw_substance(draw, "driver", size=0.2, kinds=("metal",)),
        parts=[Part(shape=Box(half_extents=(0.09, 0.07, 0.07)))],
        position=(start, 0.0, height + 0.02),
        magnet=(draw.uniform("driver_moment", 850, 1000), 0.0, 0.0),
        joint=Joint(
            kind="slide",
            anchor=(0.0, 0.0, 0.0),
            axis=(1.0, 0.0, 0.0),
            drive=((0.0, 0.0), (0.1, 0.0), (0.9, reach), (20.0, reach)),
        ),
    )
    return Description(
        things=[driver, standing, *rest],
        prompt=f"{driver.substance.a()} magnet floats {{direction}} towards {steel.a(False)} magnet that stands like "
        "a domino with like poles facing: it is pushed over without being touched and topples a row of "
        f"{count} blocks.",
        centre=(-0.2, 0.0, 0.18),
        radius=0.55 + 0.4 * count * pitch,
    )
