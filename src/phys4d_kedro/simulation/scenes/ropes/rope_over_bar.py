"""A rope falls over a bar and slides down on its heavier side."""

from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Rope,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder
from phys4d_kedro.simulation.scenes.registry import scene


@scene("ropes")
def rope_over_bar(draw: Draw) -> Description:
    """A rope falls over a bar and slides down on its heavier side."""
    radius, bar = draw.uniform("radius", 0.018, 0.026), draw.uniform("bar_radius", 0.05, 0.08)
    height, length = draw.uniform("height", 0.65, 0.8), draw.uniform("length", 1.0, 1.2)
    aside = draw.sign("side") * draw.uniform("aside", 0.04, 0.16)
    wood = replace(draw_substance(draw, "bar", size=0.2, kinds=("wooden", "metal")), friction=0.3)
    posts = [
        Part(shape=Box(half_extents=(0.025, 0.025, height / 2)), position=(0.0, y * 0.3, -height / 2)) for y in (-1, 1)
    ]
    stand = Thing(
        name="bar",
        substance=wood,
        parts=[Part(shape=Cylinder(radius=bar, half_height=0.3), rotation=(90.0, 0.0, 0.0)), *posts],
        colliders=[Part(shape=Cylinder(radius=bar, half_height=0.3), rotation=(90.0, 0.0, 0.0))],
        position=(0.0, 0.0, height),
        fixed=True,
    )
    z = height + bar + radius + draw.uniform("drop", 0.05, 0.15)
    rope = Rope(
        name="rope",
        substance=replace(draw_substance(draw, "rope", size=0.15, kinds=("rubber", "plastic")), friction=0.3),
        points=[
            (aside - length / 2, draw.uniform("y", -0.08, 0.08), z),
            (aside + length / 2, draw.uniform("y_end", -0.08, 0.08), z),
        ],
        radius=radius,
    )
    return Description(
        things=[stand],
        ropes=[rope],
        prompt=f"{rope.substance.a()} rope falls across {wood.a(False)} bar, folds over it and slips down "
        f"{'{direction}' if aside > 0 else '{opposite}'}.",
        centre=(0.0, 0.0, 0.5),
        radius=0.8,
    )
