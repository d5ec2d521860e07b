"""The scenes, by name: a file each, in the folder of its category. Every file in such a folder is a scene."""

import importlib
import pkgutil

from phys4d_kedro.simulation.scenes.registry import SCENES, Scene

for _module in sorted(module.name for module in pkgutil.walk_packages(__path__, f"{__name__}.")):
    importlib.import_module(_module)

__all__ = ["SCENES", "Scene"]
