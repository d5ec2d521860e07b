"""A basin that is full already is poured into and overflows."""

from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.scenes.flowing import around, filled, make_tray, poured
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_liquid


@scene("fluids")
def liquid_overfill(draw: Draw) -> Description:
    """A basin that is full already is poured into and overflows."""
    inner = (draw.uniform("length", 0.34, 0.4), draw.uniform("width", 0.3, 0.36), draw.uniform("height", 0.13, 0.17))
    stone = draw_substance(draw, "basin", size=0.4, kinds=("stone", "wooden", "plastic"))
    liquid = draw_liquid(draw, "liquid")
    full = filled("liquid", liquid, (-inner[0] / 2, -inner[1] / 2, 0.0), (inner[0] / 2, inner[1] / 2, inner[2] - 0.012))
    jet = poured("jet", liquid, (0.0, 0.0, inner[2] + 0.35), draw.uniform("speed", 0.8, 1.2), 0.055)
    both = replace(full, emitters=jet.emitters)
    return Description(
        things=[make_tray(stone, inner, 0.06, "basin")],
        matter=[both],
        grid=around((0.62, 0.6), inner[2] + 0.45, 0.028),
        prompt=f"{liquid.words.capitalize()} is poured into {stone.a(False)} basin that is full to the brim; it "
        "overflows and runs over the ground.",
        centre=(0.0, 0.0, 0.18),
        radius=0.55,
    )
