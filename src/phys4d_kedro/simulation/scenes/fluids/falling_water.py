"""A ball of liquid falls to the ground and splashes."""

from phys4d_kedro.simulation.description import (
    Description,
    Matter,
    Part,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Sphere
from phys4d_kedro.simulation.scenes.flowing import around, make_tray
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_liquid


@scene("fluids")
def falling_water(draw: Draw) -> Description:
    """A ball of liquid falls to the ground and splashes."""
    radius, drop = draw.uniform("radius", 0.11, 0.14), draw.uniform("drop", 0.25, 0.45)
    liquid = draw_liquid(draw, "liquid", ("water", "orange juice", "red juice", "milk"))
    blob = Matter(
        name="liquid",
        words=liquid.words,
        kind="liquid",
        material=liquid.material,
        blocks=[Part(shape=Sphere(radius=radius), position=(0.0, 0.0, drop + radius))],
        density=liquid.density,
        viscosity=liquid.viscosity,
    )
    inner = (0.72, 0.72, draw.uniform("rim", 0.12, 0.16))
    tray = make_tray(draw_substance(draw, "tray", size=0.5, kinds=("stone", "wooden", "plastic")), inner, 0.06)
    return Description(
        things=[tray],
        matter=[blob],
        grid=around((0.5, 0.5), drop + 2 * radius + 0.1, 0.03),
        prompt=f"A ball of {liquid.words} falls into {tray.substance.a(False)} tray and splashes apart.",
        centre=(0.0, 0.0, 0.2),
        radius=0.62,
    )
