"""An iron bar is heated at one end and begins to glow."""

from phys4d_kedro.simulation.description import (
    Description,
    HeatedBlock,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Material
from phys4d_kedro.simulation.scenes.registry import scene


@scene("thermodynamics")
def heat_spreading(draw: Draw) -> Description:
    """An iron bar is heated at one end and begins to glow."""
    half = (draw.uniform("half_length", 0.35, 0.42), 0.06, draw.uniform("half_height", 0.05, 0.07))
    height, side = 0.16, draw.sign("side")
    dark = draw.uniform("dark", 0.12, 0.3)
    iron = Material(colour=(dark, dark, 1.05 * dark), second_colour=(1.0, 0.45, 0.1), roughness=0.5, specular=0.1)
    bar = HeatedBlock(
        name="bar",
        material=iron,
        size=(2 * half[0], 2 * half[1], 2 * half[2]),
        cells=(48, 8, 8),
        position=(0.0, 0.0, height + half[2]),
        source_position=(-side * half[0], 0.0, height + half[2]),
        source_radius=draw.uniform("source", 0.1, 0.14),
        source_temperature=draw.uniform("temperature", 1150, 1400),
        diffusivity=draw.uniform("diffusivity", 0.015, 0.03),
        loss=0.02,
        cold=320.0,
        hot=1000.0,
    )
    stone = draw_substance(draw, "stand", size=0.2, kinds=("stone", "wooden"))
    stands = [
        Part(shape=Box(half_extents=(0.05, 0.09, height / 2 - 0.0005)), position=(x * (half[0] - 0.1), 0.0, height / 2))
        for x in (-1, 1)
    ]
    stand = Thing(name="stand", substance=stone, parts=stands, position=(0.0, 0.0, 0.0), fixed=True)
    return Description(
        things=[stand],
        heated=[bar],
        prompt=f"A dark iron bar on two {stone.words} stands is heated at one end, and the glow spreads "
        f"{'{direction}' if side > 0 else '{opposite}'} along it.",
        centre=(0.0, 0.0, 0.17),
        radius=0.5,
        at_rest=True,
    )
