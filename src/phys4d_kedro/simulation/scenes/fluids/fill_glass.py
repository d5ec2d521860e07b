"""A drink is poured into a glass."""

from phys4d_kedro.simulation.description import (
    Description,
)
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes.flowing import around, make_tumbler, poured
from phys4d_kedro.simulation.scenes.registry import scene
from phys4d_kedro.simulation.scenes.substances import draw_liquid


@scene("fluids")
def fill_glass(draw: Draw) -> Description:
    """A drink is poured into a glass."""
    radius, height = draw.uniform("radius", 0.14, 0.17), draw.uniform("height", 0.34, 0.4)
    drink = draw_liquid(draw, "drink", ("red juice", "orange juice", "milk", "water"))
    poured_drink = poured(
        "drink", drink, (draw.uniform("x", -0.02, 0.02), 0.0, height + 0.22), draw.uniform("speed", 0.7, 1.0), 0.035
    )
    return Description(
        things=[make_tumbler(draw, radius, height)],
        matter=[poured_drink],
        grid=around((0.28, 0.28), height + 0.3, 0.022),
        prompt=f"{drink.words.capitalize()} is poured from above into an empty glass and fills it.",
        centre=(0.0, 0.0, 0.28),
        radius=0.42,
    )
