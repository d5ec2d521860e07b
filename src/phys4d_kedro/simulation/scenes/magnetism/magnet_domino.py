"""Standing magnets push each other over without touching."""

import math
from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import (
    GAP,
)
from phys4d_kedro.simulation.scenes.registry import scene


@scene("magnetism")
def magnet_domino(draw: Draw) -> Description:
    """Standing magnets push each other over without touching."""
    count, height = draw.integer("count", 3, 4), draw.uniform("height", 0.13, 0.17)
    thickness, width = 0.18 * height, 0.4 * height
    pitch = height * draw.uniform("pitch", 2.2, 2.4)
    moment = draw.uniform("moment", 40, 55)
    lean = draw.uniform("lean", 14, 20)
    tilt = math.radians(lean)
    half = (thickness, width, height)
    start = -0.5 * (count - 1) * pitch
    blocks = []
    for k in range(count):
        steel = draw_substance(draw, f"magnet_{k}", size=height, kinds=("metal",))
        up = height * math.cos(tilt) + thickness * math.sin(tilt) + GAP if k == 0 else height + GAP
        blocks.append(
            Thing(
                name=f"magnet_{k}",
                substance=replace(steel, density=1500.0),
                parts=[Part(shape=Box(half_extents=half))],
                position=(start + k * pitch, 0.0, up),
                rotation=(0.0, lean if k == 0 else 0.0, 0.0),
                magnet=((-1) ** k * moment, 0.0, 0.0),
            )
        )
    return Description(
        things=blocks,
        prompt=f"A row of {count} standing magnets, like poles facing each other and too far apart to touch: the "
        f"first falls over and the others are pushed over {{direction}} by its field.",
        centre=(0.0, 0.0, 0.15),
        radius=0.4 + 0.5 * count * pitch,
    )
