"""A flag on a pole begins to fly in the wind."""

from phys4d_kedro.simulation.description import (
    Cloth,
    Description,
    Part,
    Thing,
    pace,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_cloth


@scene("cloth")
def hanging_flag(draw: Draw) -> Description:
    """A flag on a pole begins to fly in the wind."""
    wide, high = draw.uniform("width", 0.7, 0.85), draw.uniform("height", 0.45, 0.55)
    wind, pole = draw.uniform("wind", 5.0, 8.0), 1.15
    cloth = Cloth(
        name="flag",
        substance=draw_cloth(draw, "flag"),
        size=(wide, high),
        cells=(18, 12),
        weight=draw.uniform("weight", 0.1, 0.18),
        position=(wide / 2 + 0.025, 0.0, pole - high / 2 - 0.05),
        rotation=(90.0, 0.0, 0.0),
        pinned=[(0, row) for row in range(13)],
        wind=(wind, draw.uniform("aside", -0.4, 0.4) * wind, 0.0),
    )
    metal = draw_substance(draw, "pole", size=0.1, kinds=("metal", "wooden"))
    stand = Thing(
        name="pole",
        substance=metal,
        parts=[
            Part(shape=Cylinder(radius=0.018, half_height=pole / 2), position=(0.0, 0.0, pole / 2)),
            Part(shape=Cylinder(radius=0.12, half_height=0.02), position=(0.0, 0.0, 0.021)),
        ],
        colliders=(),
        position=(0.0, 0.0, 0.0),
        fixed=True,
    )
    return Description(
        things=[stand],
        cloths=[cloth],
        prompt=f"{cloth.substance.a()} flag on a pole flutters in a wind that blows {pace(wind, slow=6, quick=7)} "
        f"{{direction}}.",
        centre=(0.3, 0.0, 0.75),
        radius=0.75,
    )
