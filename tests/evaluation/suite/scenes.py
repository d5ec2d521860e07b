"""Exact clips of balls before a wall, and worlds made of them."""

from typing import Any

import numpy as np

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.evaluation.suite.config import SuiteConfig
from tests.factories import AnalyticScene, Plane, Sphere, translation

CONFIG = SuiteConfig(
    world=WorldConfig(tracks=64), image_tracks=64, horizons=2, videos=2, bootstrap_resamples=50, seed=0
)
FRAMES = 5


def two_balls(name: str = "balls", speed: float = 0.1) -> Clip:
    """One ball goes right by `speed` metres a frame, another rests, before a wall and a camera at rest."""
    time = np.arange(FRAMES)[:, None]
    wall = translation(np.tile([0.0, 0.0, 6.0], (FRAMES, 1)))
    moving = translation([-0.9, 0, 3] + np.array([speed, 0, 0]) * time)
    resting = translation(np.tile([0.9, 0.0, 3.5], (FRAMES, 1)))
    scene = AnalyticScene(
        [Plane(wall), Sphere(moving, 0.4), Sphere(resting, 0.4)], translation(np.zeros((FRAMES, 3))), 48, 64
    )
    return scene.clip(name, np.random.default_rng(0), scene="balls")


def world_of(clip: Clip, **arrays: Any) -> Clip:
    """The clip as a generated one: without what only a simulation knows."""
    return clip.with_(
        source="pseudo", segmentation=None, tracks=None, track_instance=None, track_visible=None, **arrays
    )


def at_rest(clip: Clip) -> Clip:
    """A world that stands still as in the first frame."""
    arrays = clip.arrays()
    return world_of(
        clip,
        rgb=np.repeat(clip.rgb[:1], clip.frames, 0),
        depth=np.repeat(arrays["depth"][:1], clip.frames, 0),
        motion=np.zeros_like(arrays["motion"]),
    )
