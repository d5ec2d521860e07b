"""Two magnetic balls roll towards each other and stick."""

from dataclasses import replace

from phys4d_kedro.simulation.description import (
    Description,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Sphere
from phys4d_kedro.simulation.scenes.pieces import GAP
from phys4d_kedro.simulation.scenes.registry import scene


@scene("magnetism")
def magnets_attract(draw: Draw) -> Description:
    """Two magnetic balls roll towards each other and stick."""
    radius, gap = draw.uniform("radius", 0.08, 0.11), draw.uniform("gap", 0.16, 0.24)
    balls = []
    for k, side in enumerate((-1, 1)):
        steel = replace(
            draw_substance(draw, f"ball_{k}", size=2 * radius, kinds=("metal",)), restitution=0.2, density=2500.0
        )
        balls.append(
            Thing(
                name=f"ball_{k}",
                substance=steel,
                parts=[Part(shape=Sphere(radius=radius))],
                position=(side * (radius + gap / 2), 0.0, radius + GAP),
                magnet=(0.0, 0.0, side * draw.uniform(f"moment_{k}", 450, 650)),
            )
        )
    return Description(
        things=balls,
        prompt=f"{balls[0].substance.a()} magnetic ball and {balls[1].substance.a(False)} one attract each other, "
        "roll together and stick.",
        centre=(0.0, 0.0, 0.1),
        radius=0.5,
    )
