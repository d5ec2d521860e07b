"""A ball hits a door, which swings open."""

from phys4d_kedro.simulation.description import (
    Description,
    Joint,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Sphere
from phys4d_kedro.simulation.scenes.pieces import make_ball, rolling_pace
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def hinge_door(draw: Draw) -> Description:
    """A ball hits a door, which swings open."""
    radius, speed = draw.uniform("radius", 0.12, 0.16), draw.uniform("speed", 1.6, 2.6)
    half, high = draw.uniform("door_half", 0.28, 0.36), draw.uniform("door_height", 0.35, 0.45)
    wood = draw_substance(draw, "door", size=0.4, kinds=("wooden", "plastic"))
    door = Thing(
        name="door",
        substance=wood,
        parts=[
            Part(shape=Box(half_extents=(0.02, half, high))),
            Part(shape=Sphere(radius=0.03), position=(-0.045, half - 0.08, 0.0)),
        ],
        position=(0.0, 0.0, high + 0.02),
        joint=Joint(kind="hinge", anchor=(0.0, -half, 0.0), axis=(0.0, 0.0, 1.0), damping=0.02, limits=(-115, 5)),
    )
    post = Part(shape=Box(half_extents=(0.035, 0.035, high + 0.08)), position=(0.0, -half - 0.045, high + 0.08))
    frame = Thing(
        name="frame",
        substance=draw_substance(draw, "frame", size=0.3, kinds=("wooden", "stone")),
        parts=[post],
        position=(0.0, 0.0, 0.0),
        fixed=True,
    )
    ball = make_ball(
        draw,
        "ball",
        radius,
        (-0.25 - radius - draw.uniform("gap", 0.1, 0.3), draw.uniform("across", 0.05, half - 0.1), radius),
        speed,
    )
    return Description(
        things=[frame, door, ball],
        prompt=f"{ball.substance.a()} ball rolls {rolling_pace(speed)} {{direction}} against {wood.a(False)} door on "
        "a post, and pushes it open.",
        centre=(0.0, 0.0, 0.35),
        radius=0.8,
    )
