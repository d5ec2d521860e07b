"""Sand runs through the neck of an hourglass."""

import math

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
    Matter,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.scenes.flowing import around
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import (
    draw_glass,
    draw_sand,
)


@scene("granular")
def hourglass(draw: Draw) -> Description:
    """Sand runs through the neck of an hourglass."""
    height, radius, neck, wall = draw.uniform("height", 0.78, 0.86), 0.2, 0.045, 0.008
    sand = draw_sand(draw, "sand")
    bulbs = assets.hourglass_glass(height, radius, neck, wall)
    lining = assets.hourglass_colliders(height, radius, neck, wall, 0.06)
    wood = draw_substance(draw, "frame", size=0.2, kinds=("wooden", "metal"))
    lids = [
        Part(shape=Cylinder(radius=radius + 0.04, half_height=0.02), position=(0.0, 0.0, z))
        for z in (0.02, 0.042 + height + 0.02)
    ]
    posts = [
        Part(
            shape=Cylinder(radius=0.014, half_height=height / 2),
            position=((radius + 0.02) * math.cos(a), (radius + 0.02) * math.sin(a), 0.041 + height / 2),
        )
        for a in (0.5, 2.6, 4.7)
    ]
    frame = Thing(
        name="frame", substance=wood, parts=[*lids, *posts], colliders=(), position=(0.0, 0.0, 0.0), fixed=True
    )
    glass = Thing(
        name="glass",
        substance=draw_glass(draw, "glass", thin=True),
        parts=[Part(shape=bulbs.mesh)],
        colliders=lining,
        position=(0.0, 0.0, 0.041 + bulbs.height),
        fixed=True,
    )
    middle = 0.041 + height / 2
    fill = Part(
        shape=Cylinder(radius=radius - 0.045, half_height=0.055),
        position=(0.0, 0.0, middle + draw.uniform("fill", 0.25, 0.27)),
    )
    grains = Matter(
        name="sand",
        words=sand.words,
        kind="granular",
        material=sand.material,
        blocks=[fill],
        density=sand.density,
        friction_angle=25.0,
    )
    return Description(
        things=[frame, glass],
        matter=[grains],
        grid=around((0.32, 0.32), height + 0.1, 0.024),
        prompt=f"{sand.words.capitalize()} runs through the neck of an hourglass into its lower bulb.",
        centre=(0.0, 0.0, 0.45),
        radius=0.55,
    )
