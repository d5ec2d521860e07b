"""Logs burn with high flames and smoke."""

from phys4d_kedro.simulation.description import (
    Description,
    Gas,
    GasSource,
    Lighting,
    Part,
    Thing,
)
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Cylinder
from phys4d_kedro.simulation.scenes.registry import scene


@scene("thermodynamics")
def camp_fire(draw: Draw) -> Description:
    """Logs burn with high flames and smoke."""
    logs = []
    bark = draw_substance(draw, "log", size=0.15, kinds=("wooden",))
    for k, turn in enumerate((20.0, 80.0, 140.0)):
        logs.append(
            Part(
                shape=Cylinder(radius=0.035, half_height=0.22),
                position=(0.0, 0.0, 0.036 + 0.035 * k),
                rotation=(90.0, 0.0, turn + draw.uniform(f"turn_{k}", -12, 12)),
            )
        )
    pile = Thing(name="logs", substance=bark, parts=logs, colliders=(), position=(0.0, 0.0, 0.0), fixed=True)
    fires = [
        GasSource(
            position=(x, y, 0.13),
            radius=0.075,
            heat=draw.uniform(f"heat_{k}", 250, 380),
            smoke=draw.uniform(f"smoke_{k}", 4, 8),
            flame=True,
        )
        for k, (x, y) in enumerate(((-0.05, 0.0), (0.06, 0.04), (0.0, -0.06)))
    ]
    gas = Gas(
        name="fire",
        lower=(-0.32, -0.32, 0.0),
        upper=(0.32, 0.32, 1.1),
        cell=0.02,
        sources=fires,
        colour=(0.3, 0.3, 0.3),
        wind=(draw.uniform("wind", -0.2, 0.2), 0.0, 0.0),
    )
    return Description(
        things=[pile],
        gas=gas,
        lighting=Lighting(lamp=0.5, sky=0.5),
        prompt="A fire of three logs burns with flickering flames, and thin smoke rises from it.",
        centre=(0.0, 0.0, 0.45),
        radius=0.6,
    )
