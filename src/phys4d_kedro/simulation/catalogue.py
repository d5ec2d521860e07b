"""The scenes as a document: `python -m phys4d_kedro.simulation.catalogue > docs/scenes.md`."""

import inspect
import re
import sys
from collections import Counter
from itertools import groupby

import numpy as np

from phys4d_kedro.simulation.randomization import Choice, Draw, Integer, Range
from phys4d_kedro.simulation.scenes import SCENES, Scene
from phys4d_kedro.simulation.space import scene_space

_HEAD = """# Scenes

Written by `python -m phys4d_kedro.simulation.catalogue`; [simulation.md](simulation.md) says what all scenes share.
Lengths are metres, angles degrees, speeds m/s (of turning things degrees/s), moduli Pa, temperatures K; draws are
uniform. What is drawn for every thing (substance, colours, texture, density, friction, restitution) is not listed.
"""

_ORDER = (
    *("rigid_bodies", "articulated", "soft_bodies", "cloth", "ropes"),
    *("granular", "fluids", "thermodynamics", "optics", "magnetism"),
)


def catalogue() -> str:
    """Markdown: a table a category, a row a scene."""
    parts = [_HEAD]
    by_category = sorted(SCENES.values(), key=lambda scene: list(_categories()).index(scene.category))
    for category, scenes in groupby(by_category, key=lambda scene: scene.category):
        rows = [_row(scene) for scene in scenes]
        title = category.replace("_", " ").capitalize()
        head = "| scene | what happens | things | its own attributes |\n|---|---|---|---|"
        parts.append("\n".join([f"## {title}\n", head, *rows]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _categories() -> dict[str, None]:
    known = dict.fromkeys(_ORDER)
    return known | dict.fromkeys(sorted(scene.category for scene in SCENES.values()))


def _row(scene: Scene) -> str:
    happens = (inspect.getdoc(scene.declare) or "").splitlines()[0]
    description = scene.declare(Draw(np.random.default_rng(0)))
    names = [element.name for element in description.elements] + [block.name for block in description.heated]
    names += [description.gas.name] if description.gas else []
    counts = Counter(re.sub(r"_\d+$", "", name) for name in names)
    things = [name if count == 1 else f"{count} x {name}" for name, count in counts.items()]
    own = [f"{name} {_range(kind)}" for name, kind in scene_space(scene.name).items() if "." not in name]
    return f"| `{scene.name}` | {happens} | {', '.join(things)} | {', '.join(own)} |"


def _range(kind: Range) -> str:
    if isinstance(kind, Choice):
        return " or ".join(kind.options)
    if isinstance(kind, Integer):
        return f"{kind.low} to {kind.high}" if (kind.low, kind.high) != (0, 1) else "either"
    return f"{kind.low:.3g} to {kind.high:.3g}"


if __name__ == "__main__":
    sys.stdout.write(catalogue())
