"""A block of butter melts on a hot plate."""

from phys4d_kedro.simulation.description import (
    Description,
    Matter,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Material
from phys4d_kedro.simulation.scenes.flowing import around
from phys4d_kedro.simulation.scenes.registry import scene


@scene("thermodynamics")
def melting(draw: Draw) -> Description:
    """A block of butter melts on a hot plate."""
    half = (draw.uniform("half_x", 0.1, 0.13), draw.uniform("half_y", 0.1, 0.13), draw.uniform("half_z", 0.07, 0.1))
    plate_half = 0.03
    iron = draw_substance(draw, "plate", size=0.3, kinds=("metal", "stone"))
    plate = Thing(
        name="plate",
        substance=iron,
        parts=[Part(shape=Cylinder(radius=0.34, half_height=plate_half))],
        position=(0.0, 0.0, plate_half),
        fixed=True,
    )
    yellow = draw.uniform("yellow", 0.35, 0.6)
    butter = Matter(
        name="butter",
        words="butter",
        kind="elastic",
        material=Material(colour=(0.95, 0.85, yellow), roughness=0.3),
        blocks=[
            Part(
                shape=Box(half_extents=half),
                position=(0.0, 0.0, 2 * plate_half + half[2] + 0.004),
                rotation=(0.0, 0.0, draw.uniform("turn", 0, 90)),
            )
        ],
        density=900.0,
        young=4e4,
        viscosity=2.0,
        melting=305.0,
        temperature=285.0,
        diffusivity=draw.uniform("diffusivity", 0.002, 0.004),
    )
    return Description(
        things=[plate],
        matter=[butter],
        grid=around((0.4, 0.4), 0.4, 0.026),
        temperatures={"plate": draw.uniform("plate_temperature", 420, 520)},
        prompt=f"A block of butter on a hot {iron.words} plate melts from below, sinks and spreads.",
        centre=(0.0, 0.0, 0.1),
        radius=0.42,
    )
