"""A ball of liquid falls to the ground and splashes."""

from phys4d_kedro.simulation.description import (
    Description,
    Matter,
    Part,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.scene import Sphere
from phys4d_kedro.simulation.scenes.flowing import around
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
    return Description(
        matter=[blob],
        grid=around((0.75, 0.75), drop + 2 * radius + 0.1, 0.03),
        prompt=f"A ball of {liquid.words} hangs in the air, falls to the ground and splashes apart.",
        centre=(0.0, 0.0, 0.25),
        radius=0.65,
    )
