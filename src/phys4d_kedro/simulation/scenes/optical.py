"""Pieces of the scenes of light, mirrors and glass."""

import math
from collections.abc import Sequence
from dataclasses import replace

from phys4d_kedro.simulation.assets import Asset
from phys4d_kedro.simulation.description import Description, Lighting, Thing
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import GAP, make_block, on_turntable
from phys4d_kedro.simulation.scenes.substances import draw_mirror


def under_lamp(draw: Draw, things: Sequence[Thing], words: str, middle: float) -> Description:
    """Things that stand still while a lamp goes over them along an arc; `middle` is the height of their middle (m)."""
    side, aside = draw.sign("side"), draw.uniform("lamp_aside", -0.5, 0.5)
    low, high = draw.uniform("lamp_low", 18, 30), draw.uniform("lamp_high", 55, 75)
    steps = 9
    lamps = []
    for k in range(steps):
        share = 2 * k / (steps - 1) - 1  # from -1 to 1 along the arc
        elevation = math.radians(high + (low - high) * share**2)
        along = side * share * math.cos(elevation)
        lamps.append((along, aside * math.cos(elevation), math.sin(elevation)))
    return Description(
        things=things,
        lighting=Lighting(directions=lamps, lamp=1.5, sky=0.45),
        prompt=f"A lamp moves {'{direction}' if side > 0 else '{opposite}'} over {words} that stands still, and the "
        "shadow wanders "
        "the other way.",
        centre=(0.0, 0.0, middle),
        radius=0.45 + middle,
        at_rest=True,
    )


def turning_mirror(draw: Draw, name: str, asset: Asset) -> Description:
    """A mirroring asset turns on a platform beside a block that shows in it."""
    made = on_turntable(draw, name, asset)
    metal = draw_mirror(draw, "mirror")
    platform, thing = made.things
    block = make_block(
        draw_substance(draw, "block", size=0.25),
        "block",
        (0.1, 0.1, 0.14),
        (0.58, draw.uniform("y", -0.2, 0.2), 0.14 + GAP),
    )
    polished = replace(thing.substance, words=metal.words, material=metal.material)
    return replace(
        made,
        things=[platform, replace(thing, substance=polished), block],
        lighting=Lighting(indoor=True, lamp=0.6),
        prompt=made.prompt.replace(thing.substance.a(), metal.a(), 1)[:-1]
        + f", and reflects the room and {block.substance.a(False)} block.",
        centre=(0.12, 0.0, 0.25),
        radius=0.65,
        azimuths=(50.0, 310.0),
    )


def faceted(asset: Asset) -> Asset:
    """The asset with flat triangles."""
    return replace(asset, mesh=replace(asset.mesh, normals=None))
