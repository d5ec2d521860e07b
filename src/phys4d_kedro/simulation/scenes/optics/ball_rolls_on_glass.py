"""A ball rolls over a table of glass."""

from phys4d_kedro.simulation.description import (
    Description,
    Lighting,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder
from phys4d_kedro.simulation.scenes.pieces import make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_glass


@scene("optics")
def ball_rolls_on_glass(draw: Draw) -> Description:
    """A ball rolls over a table of glass."""
    radius, speed = draw.uniform("radius", 0.1, 0.14), draw.uniform("speed", 0.5, 0.9)
    height = draw.uniform("table_height", 0.35, 0.45)
    glass = draw_glass(draw, "table")
    pane = Thing(
        name="pane",
        substance=glass,
        parts=[Part(shape=Box(half_extents=(0.6, 0.35, 0.012)))],
        position=(0.0, 0.0, height),
        fixed=True,
    )
    metal = draw_substance(draw, "legs", size=0.2, kinds=("metal", "wooden"))
    legs = [
        Part(
            shape=Cylinder(radius=0.02, half_height=(height - 0.014) / 2),
            position=(x * 0.5, y * 0.28, (height - 0.014) / 2),
        )
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    stand = Thing(name="legs", substance=metal, parts=legs, position=(0.0, 0.0, 0.0), fixed=True)
    ball = make_ball(draw, "ball", radius, (-0.5, draw.uniform("across", -0.12, 0.12), height + 0.0125 + radius), speed)
    return Description(
        things=[pane, stand, ball],
        lighting=Lighting(indoor=True, lamp=0.7),
        prompt=f"{ball.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} over a table of {glass.words}, "
        "through which the floor is seen.",
        centre=(0.0, 0.0, 0.35),
        radius=0.75,
    )
