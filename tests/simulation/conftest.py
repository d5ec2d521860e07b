"""Small configurations of the simulation."""

from collections.abc import Callable
from typing import Any

import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import simulation_source
from phys4d_kedro.simulation.scenes import SCENES

Configure = Callable[..., SimulationConfig]

CAMERA: dict[str, Any] = {
    "motions": ["static", "orbit", "dolly"],
    "distance": [0.85, 1.6],
    "elevation": [10, 45],
    "field_of_view": [38, 60],
    "orbit": [10, 40],
    "dolly": [0.15, 0.35],
}


def configure_simulation(*, camera: dict[str, Any] | None = None, **changes: Any) -> SimulationConfig:
    """All scenes at 32 x 32, 5 frames in half a second; `changes` replace parameters, `camera` those of cameras."""
    parameters = {
        "seed": 0,
        "height": 32,
        "width": 32,
        "frames": 5,
        "fps": 8,
        "samples": 2,
        "scenes": list(SCENES),
        "camera": CAMERA | (camera or {}),
        "take_perturbation": 0.01,
        "track_points": 64,
        "train": {"clips": 9},
        "heldout": {"clips": 9},
        "quality": {},
    }
    return SimulationConfig.model_validate(parameters | changes)


@pytest.fixture(scope="session")
def configure() -> Configure:
    """See `configure_simulation`."""
    return configure_simulation


@pytest.fixture(scope="session")
def clips(configure: Configure) -> dict[str, Clip]:
    """A clip of every scene at the default's size."""
    source = simulation_source(configure(height=64, width=64, frames=17, samples=8), "heldout")
    made = [source.make(index) for index in range(len(source))]
    return {clip.scene: clip for clip in made}
