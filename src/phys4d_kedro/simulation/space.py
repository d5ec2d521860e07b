"""The space of configurations that a scene declares by drawing from it."""

import numpy as np

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.randomization import Choice, Draw, Integer, Range, Uniform
from phys4d_kedro.simulation.scenes import SCENES

# Draws that are looked at. What is drawn only sometimes, or from a range that hangs on another draw, shows in some.
_DRAWS = 64


def scene_space(name: str) -> dict[str, Range]:
    """What each attribute of a scene is drawn from, in the order of drawing.

    Where a range differs between draws it is their union: the smallest range, or all the options, that hold them.
    Ground, light and camera, which all scenes share, are no attributes of a scene.

    Raises:
        ConfigurationError: there is no such scene, or it draws an attribute now as a number, now as an option.
    """
    if name not in SCENES:
        raise ConfigurationError(f"no scene '{name}'; there are {', '.join(SCENES)}")
    space: dict[str, Range] = {}
    for seed in range(_DRAWS):
        draw = Draw(np.random.default_rng(seed))
        SCENES[name].declare(draw)
        for attribute, declared in draw.space.items():
            known = space.get(attribute, declared)
            both = union(known, declared)
            if both is None:
                raise ConfigurationError(f"scene '{name}': '{attribute}' is drawn as {known} and as {declared}")
            space[attribute] = both
    return space


def union(one: Range, other: Range) -> Range | None:
    """The smallest range, or all the options, of both; None where they are of different kinds."""
    if isinstance(one, Uniform) and isinstance(other, Uniform):
        return Uniform(min(one.low, other.low), max(one.high, other.high))
    if isinstance(one, Integer) and isinstance(other, Integer):
        return Integer(min(one.low, other.low), max(one.high, other.high))
    if isinstance(one, Choice) and isinstance(other, Choice):
        return Choice(tuple(dict.fromkeys([*one.options, *other.options])))
    return None
