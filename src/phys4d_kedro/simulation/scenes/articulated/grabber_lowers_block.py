"""A grabber on a gantry lowers a block to the ground."""

from phys4d_kedro.simulation.description import (
    Description,
    Joint,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box
from phys4d_kedro.simulation.scenes.pieces import make_frame
from phys4d_kedro.simulation.scenes.registry import scene


@scene("articulated")
def grabber_lowers_block(draw: Draw) -> Description:
    """A grabber on a gantry lowers a block to the ground."""
    half, drop = draw.uniform("half", 0.1, 0.14), draw.uniform("drop", 0.4, 0.6)
    height = 1.15
    jaw = draw_substance(draw, "grabber", size=0.2, kinds=("metal", "plastic"))
    arm = Part(shape=Box(half_extents=(0.025, 0.025, 0.3)), position=(0.0, 0.0, 0.36))
    grip = Part(shape=Box(half_extents=(half + 0.04, 0.04, 0.03)), position=(0.0, 0.0, 0.04))
    fingers = [
        Part(shape=Box(half_extents=(0.012, 0.04, 0.07)), position=(x * (half + 0.022), 0.0, -0.05)) for x in (-1, 1)
    ]
    grabber = Thing(
        name="grabber",
        substance=jaw,
        parts=[arm, grip, *fingers],
        position=(0.0, 0.0, drop + 2 * half + 0.01),
        joint=Joint(
            kind="slide",
            anchor=(0.0, 0.0, 0.0),
            axis=(0.0, 0.0, 1.0),
            drive=((0.0, 0.0), (0.1, 0.0), (1.3, -drop + 0.002), (1.6, -drop + 0.002), (3.0, -drop + 0.6)),
        ),
    )
    block = Thing(
        name="block",
        substance=draw_substance(draw, "block", size=2 * half),
        parts=[Part(shape=Box(half_extents=(half, half, half)))],
        position=(0.0, 0.0, drop + half),
        joint=Joint(
            kind="slide",
            anchor=(0.0, 0.0, 0.0),
            axis=(0.0, 0.0, 1.0),
            drive=((0.0, 0.0), (0.1, 0.0), (1.3, -drop + 0.002), (20.0, -drop + 0.002)),
        ),
    )
    return Description(
        things=[make_frame(draw, height, 0.55), grabber, block],
        prompt=f"{jaw.a()} grabber holds {block.substance.a(False)} block, lowers it to the ground, lets go and goes "
        "up again.",
        centre=(0.0, 0.0, 0.55),
        radius=0.85,
    )
