"""Small configurations of the simulation."""

from collections.abc import Callable
from typing import Any

import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import simulation_source

Configure = Callable[..., SimulationConfig]

CAMERA: dict[str, Any] = {
    "motions": ["static", "orbit", "dolly"],
    "distance": [0.85, 1.6],
    "elevation": [10, 45],
    "field_of_view": [38, 60],
    "orbit": [10, 40],
    "dolly": [0.15, 0.35],
}


RIGID = [
    "ball_collide",
    "ball_ramp",
    "ball_train",
    "block_domino",
    "ball_in_basket",
    "two_balls_pass",
    "ball_and_block_fall",
    "stable_blocks",
    "unstable_block_stack",
]
# One of each other kind that MuJoCo alone simulates.
BENDING = ["pendulum", "ball_hits_duck", "swinging_rope", "falling_chain", "hanging_flag", "soft_ball_bounce"]


def configure_simulation(*, camera: dict[str, Any] | None = None, **changes: Any) -> SimulationConfig:
    """The default scenes at 32 x 32, 5 frames; `changes` replace parameters, `camera` those of cameras."""
    parameters = {
        "seed": 0,
        "height": 32,
        "width": 32,
        "frames": 5,
        "fps": 8,
        "samples": 2,
        "scenes": RIGID,
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
    """Clips of scenes that are quick to simulate, at the default's size."""
    scenes = RIGID + BENDING
    config = configure(height=64, width=64, frames=17, samples=8, scenes=scenes, heldout={"clips": len(scenes)})
    source = simulation_source(config, "heldout")
    made = [source.make(index) for index in range(len(source))]
    return {clip.scene: clip for clip in made}
