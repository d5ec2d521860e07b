"""The scenes that docs/simulation.md shows work as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes import SCENES

EXAMPLES = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/simulation.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda code: re.findall(r"def (\w+)", code)[0])
def test_example(example: str) -> None:
    before = set(SCENES)
    exec(compile(example, "docs/simulation.md", "exec"), {})
    (name,) = set(SCENES) - before
    made = SCENES.pop(name)
    description = made.declare(Draw(np.random.default_rng(0)))
    assert roll_out(description, frames=3, fps=8).travel() > 0.1 * description.radius
