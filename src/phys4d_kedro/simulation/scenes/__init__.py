"""The scenes, by name. A new one is a function in a file of its category, under the decorator `scene`."""

from phys4d_kedro.simulation.scenes import rigid_bodies
from phys4d_kedro.simulation.scenes.registry import SCENES, Scene

__all__ = ["SCENES", "Scene", "rigid_bodies"]
