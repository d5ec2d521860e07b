"""A candle burns with a flickering flame."""

from dataclasses import replace

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import (
    Description,
    Gas,
    GasSource,
    Lighting,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.pieces import (
    place_asset,
)
from phys4d_kedro.simulation.scenes.registry import scene


@scene("thermodynamics")
def lit_candle(draw: Draw) -> Description:
    """A candle burns with a flickering flame."""
    radius, height = draw.uniform("radius", 0.06, 0.08), draw.uniform("height", 0.24, 0.34)
    candle = place_asset(draw, "candle", assets.candle(radius, height), (0.0, 0.0), kinds=("plastic",))
    wax = replace(candle.substance, words=candle.substance.words.replace("plastic", "wax"))
    flame = GasSource(
        position=(0.0, 0.0, height + 0.05),
        radius=0.035,
        heat=draw.uniform("heat", 250, 350),
        smoke=draw.uniform("smoke", 1, 3),
        flame=True,
    )
    gas = Gas(
        name="flame",
        lower=(-0.16, -0.16, height - 0.04),
        upper=(0.16, 0.16, height + 0.5),
        cell=0.0125,
        sources=[flame],
        colour=(0.4, 0.4, 0.4),
        wind=(draw.uniform("draught", -0.12, 0.12), 0.0, 0.0),
    )
    return Description(
        things=[replace(candle, substance=wax, fixed=True)],
        gas=gas,
        lighting=Lighting(lamp=0.45, sky=0.45),
        prompt=f"{wax.a()} candle burns with a flickering yellow flame.",
        centre=(0.0, 0.0, 0.3),
        radius=0.38,
    )
