"""A ball and a block are let go at the same height."""

from phys4d_kedro.simulation.description import Description, Part, Thing
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import make_ball
from phys4d_kedro.simulation.scenes.registry import scene


@scene("rigid_bodies")
def ball_and_block_fall(draw: Draw) -> Description:
    """A ball and a block are let go at the same height."""
    radius, half = draw.uniform("radius", 0.12, 0.2), draw.uniform("half", 0.1, 0.16)
    drop = draw.uniform("drop", 0.5, 1.2)
    apart = radius + 1.8 * half + draw.uniform("apart", 0.1, 0.4)
    ball = make_ball(draw, "ball", radius, (-apart / 2, 0.0, drop + radius))
    block = Thing(
        name="block",
        substance=draw_substance(draw, "block", size=2 * half),
        parts=[Part(shape=Box(half_extents=(half, half, half)))],
        position=(apart / 2, 0.0, drop + 1.8 * half),
        rotation=(draw.uniform("tilt_x", -40, 40), draw.uniform("tilt_y", -40, 40), draw.uniform("turn", 0, 90)),
    )
    return Description(
        things=[ball, block],
        prompt=f"{ball.substance.a()} ball and {block.substance.a(False)} block are let go and fall to the ground.",
        centre=(0.0, 0.0, 0.5),
        radius=0.95,
    )
