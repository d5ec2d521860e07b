"""A ball falls into a cloth held at its corners."""

from phys4d_kedro.simulation.description import (
    Cloth,
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.scenes.pieces import make_ball
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_cloth


@scene("cloth")
def ball_in_hammock(draw: Draw) -> Description:
    """A ball falls into a cloth held at its corners."""
    side, height = draw.uniform("side", 0.8, 0.95), draw.uniform("height", 0.5, 0.6)
    cells = 14
    cloth = Cloth(
        name="hammock",
        substance=draw_cloth(draw, "hammock"),
        size=(side, side),
        cells=(cells, cells),
        weight=0.3,
        position=(0.0, 0.0, height),
        pinned=[(0, 0), (cells, 0), (0, cells), (cells, cells)],
    )
    metal = draw_substance(draw, "posts", size=0.1, kinds=("metal", "wooden"))
    posts = [
        Part(shape=Cylinder(radius=0.015, half_height=height / 2), position=(x * side / 2, y * side / 2, height / 2))
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    stand = Thing(name="posts", substance=metal, parts=posts, colliders=(), position=(0.0, 0.0, 0.0), fixed=True)
    radius = draw.uniform("radius", 0.08, 0.11)
    ball = make_ball(
        draw,
        "ball",
        radius,
        (
            draw.uniform("x", -0.12, 0.12),
            draw.uniform("y", -0.12, 0.12),
            height + radius + draw.uniform("drop", 0.2, 0.4),
        ),
        kinds=("rubber", "wooden", "plastic"),  # heavier ones slip between the cloth's vertices
    )
    return Description(
        things=[stand, ball],
        cloths=[cloth],
        prompt=f"{ball.substance.a()} ball falls into {cloth.substance.a(False)} cloth held up at its corners, which "
        "catches it.",
        centre=(0.0, 0.0, 0.5),
        radius=0.75,
    )
