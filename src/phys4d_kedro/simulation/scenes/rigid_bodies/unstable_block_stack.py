"""A stack of blocks, each further over the edge of the one below, that falls over."""

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.pieces import make_tower
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def unstable_block_stack(draw: Draw) -> Description:
    """A stack of blocks, each further over the edge of the one below, that falls over."""
    count, half = draw.integer("count", 3, 5), draw.uniform("half", 0.11, 0.16)
    substances = [draw_substance(draw, f"block_{k}", size=2 * half) for k in range(count)]
    side = draw.sign("side")
    things = make_tower(
        draw,
        half,
        substances,
        [0.0] + [side * half * draw.uniform(f"offset_{k}", 0.75, 1.1) for k in range(1, count)],
    )
    return Description(
        things=things,
        prompt=f"A stack of {count} blocks, {substances[0].a(False)} one at the bottom, leans too far and falls over "
        f"{'{direction}' if side > 0 else '{opposite}'}.",
        centre=(side * half * count / 2, 0.0, half * count * 0.8),
        radius=0.45 + half * count,
    )
