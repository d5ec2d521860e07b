"""Small descriptions for the tests of bodies."""

from typing import Any

from phys4d_kedro.simulation.description import Description, Part, Thing
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Substance
from phys4d_kedro.simulation.rendering.scene import Material, Sphere
from phys4d_kedro.simulation.rollout import Rollout


def stuff(density: float = 1000.0, friction: float = 0.5) -> Substance:
    return Substance(words="grey", density=density, friction=friction, restitution=0.5, material=Material())


def described(**parts: Any) -> Description:
    return Description(prompt="", centre=(0.0, 0.0, 0.5), radius=1.0, **parts)


def rolled(frames: int, fps: float, **parts: Any) -> Rollout:
    return roll_out(described(**parts), frames=frames, fps=fps)


def ball(name: str, radius: float, position: tuple[float, float, float], **fields: Any) -> Thing:
    return Thing(name=name, substance=stuff(), parts=[Part(shape=Sphere(radius=radius))], position=position, **fields)
