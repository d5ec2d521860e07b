"""Where scenes are registered."""

from collections.abc import Callable
from dataclasses import dataclass

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Draw

Declaration = Callable[[Draw], Description]


@dataclass(frozen=True)
class Scene:
    """A scene's name, category, and declaration: what is drawn from which range, and what it makes."""

    name: str
    category: str
    declare: Declaration


SCENES: dict[str, Scene] = {}


def scene(category: str) -> Callable[[Declaration], Declaration]:
    """Register a declaration as the scene of its function's name."""

    def register(declare: Declaration) -> Declaration:
        name = declare.__name__
        SCENES[name] = Scene(name, category, declare)
        return declare

    return register
