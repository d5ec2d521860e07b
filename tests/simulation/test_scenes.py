"""Every scene: declared as it should be, and made into a clip that holds together."""

import collections
from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.simulation import scenes
from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes import SCENES

CATEGORIES = {
    "rigid_bodies",
    "articulated",
    "soft_bodies",
    "cloth",
    "ropes",
    "granular",
    "fluids",
    "thermodynamics",
    "optics",
    "magnetism",
}


def declared(name: str, seed: int) -> tuple[Description, Draw]:
    draw = Draw(np.random.default_rng(seed))
    return SCENES[name].declare(draw), draw


def test_there_are_enough() -> None:
    counts = collections.Counter(scene.category for scene in SCENES.values())
    assert set(counts) == CATEGORIES
    assert min(counts.values()) >= 3
    assert len(SCENES) >= 45


def test_a_file_a_scene() -> None:
    files = {path.stem: path.parent.name for path in Path(scenes.__path__[0]).glob("*/*.py") if path.stem != "__init__"}
    assert files == {name: scene.category for name, scene in SCENES.items()}


@pytest.mark.parametrize("name", SCENES)
def test_declarations(name: str) -> None:
    for seed in range(8):
        description, draw = declared(name, seed)
        again, same = declared(name, seed)
        assert draw.values == same.values
        assert description.prompt == again.prompt
        words = description.prompt.format(direction="to the left", opposite="to the right")
        assert words[0].isupper()
        assert words.endswith(".")
        assert "  " not in words
        assert "{" not in words
        names = [element.name for element in description.elements]
        assert len(set(names)) == len(names)
        assert len(draw.values) >= 2
        assert description.radius > 0.2
        assert any(not getattr(element, "fixed", False) for element in description.elements) or (
            description.gas or description.heated
        )
    assert declared(name, 0)[1].values != declared(name, 1)[1].values


def is_quick(name: str) -> bool:
    """Whether MuJoCo alone simulates it, and it has no mesh that bends."""
    description, _ = declared(name, 0)
    return not (description.cloths or description.soft_bodies or description.matter or description.gas)


@pytest.mark.parametrize("name", filter(is_quick, SCENES))
def test_quick_scenes_move_or_stand_still_as_told(name: str) -> None:
    for seed in range(3):
        description, _ = declared(name, seed)
        rollout = roll_out(description, frames=17, fps=8)
        assert np.isfinite(rollout.poses).all()
        if description.at_rest:
            assert rollout.travel() < 0.03
        else:
            assert rollout.travel() > 0.1 * description.radius or rollout.turn() > 0.3
