"""A stack of blocks that stands, however the camera moves."""

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import make_tower
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def stable_blocks(draw: Draw) -> Description:
    """A stack of blocks that stands, however the camera moves."""
    count, half = draw.integer("count", 2, 4), draw.uniform("half", 0.12, 0.18)
    substances = [draw_substance(draw, f"block_{k}", size=2 * half) for k in range(count)]
    things = make_tower(
        draw,
        half,
        substances,
        [0.0] + [half * draw.uniform(f"offset_{k}", -0.25, 0.25) for k in range(1, count)],
    )
    return Description(
        things=things,
        prompt=f"A stack of {count} blocks, {substances[0].a(False)} one at the bottom, stands still.",
        centre=(0.0, 0.0, half * count),
        radius=0.4 + half * count,
        at_rest=True,
    )
