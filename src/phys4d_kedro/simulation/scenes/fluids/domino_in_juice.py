"""A row of blocks topples, and the last one falls into a tank of juice."""

from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.flowing import around, filled, make_tank
from phys4d_kedro.simulation.scenes.pieces import make_dominos
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import (
    draw_liquid,
)


@scene("fluids")
def domino_in_juice(draw: Draw) -> Description:
    """A row of blocks topples, and the last one falls into a tank of juice."""
    count, height = 3, draw.uniform("height", 0.14, 0.17)
    inner = (0.42, 0.32, 0.24)
    depth = draw.uniform("depth", 0.13, 0.17)
    juice = draw_liquid(draw, "juice", ("orange juice", "red juice"))
    substance = draw_substance(draw, "block", size=height, kinds=("wooden", "plastic"))
    stand_height = inner[2] + 0.06
    thickness, width, pitch = 0.16 * height, 0.3 * height, 1.3 * height * draw.uniform("pitch", 0.6, 0.7)
    lean = draw.uniform("lean", 15, 20)
    # The last one stands on the very edge.
    edge = -inner[0] / 2 - 0.03
    places = [edge - 0.3 * thickness - (count - 1 - k) * pitch for k in range(count)]
    blocks = make_dominos(
        substance, (thickness, width, height), lean, places[0] - 0.35 * height, places[1:], base=stand_height
    )
    reach = count * pitch + 0.12
    stone = draw_substance(draw, "stand", size=0.4, kinds=("stone", "wooden"))
    stand = Thing(
        name="stand",
        substance=stone,
        parts=[Part(shape=Box(half_extents=(reach / 2, 0.14, stand_height / 2)))],
        position=(edge - reach / 2, 0.0, stand_height / 2),
        fixed=True,
    )
    return Description(
        things=[make_tank(draw, inner, thickness=0.07), stand, *blocks],
        matter=[filled("juice", juice, (-inner[0] / 2, -inner[1] / 2, 0.006), (inner[0] / 2, inner[1] / 2, depth))],
        grid=around((0.36, 0.26), 0.5, 0.028),
        prompt=f"A row of {count} {substance.words} blocks stands on {stone.a(False)} stand: they topple "
        f"{{direction}} one after another, and the last falls into a tank of {juice.words} and splashes.",
        centre=(-0.12, 0.0, 0.28),
        radius=0.6,
        azimuths=(230.0, 310.0),
    )
