"""Clips from configurations: drawn, simulated, staged, rendered, annotated, checked."""

import hashlib
from dataclasses import dataclass
from functools import partial

import numpy as np

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.annotate import check_consistency, track_points
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.physics import BadDrawError, Rollout, roll_out
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, render
from phys4d_kedro.simulation.rendering.scene import RenderScene
from phys4d_kedro.simulation.scenes import SCENES
from phys4d_kedro.simulation.staging import draw_camera, stage

_MOST_REDRAWS = 50
_VERSION = 1  # of what a configuration becomes; part of every fingerprint, so that a change here remakes the clips

# What tells the streams of random numbers of one simulation apart.
_WORLD, _LOOKS, _CAMERA, _NUDGE, _TRACKS = range(5)


@dataclass(frozen=True)
class ClipKey:
    """Which clip of a split: a simulation, a camera that looks at it, and a take of it."""

    split: str
    simulation: int
    view: int
    take: int

    def rng(self, seed: int, stream: int, attempt: int) -> np.random.Generator:
        """Random numbers of one stream; the camera's differ between views, the nudge's between takes."""
        split = int.from_bytes(hashlib.sha256(self.split.encode()).digest()[:4], "big")
        part = self.view if stream in (_CAMERA, _TRACKS) else self.take if stream == _NUDGE else 0
        return np.random.default_rng([seed, split, self.simulation, stream, part, attempt])


@dataclass(frozen=True)
class Simulation:
    """A configuration that could be simulated; `draw` holds its attributes, `redraws` how many were dropped before."""

    scene: str
    description: Description
    rollout: Rollout
    draw: Draw
    redraws: int


@dataclass(frozen=True)
class View:
    """A simulation as one camera sees it; `draw` holds camera and looks, `redraws` how many cameras were dropped."""

    scene: RenderScene
    image: RenderOutput
    prompt: str
    draw: Draw
    redraws: int


def simulation_source(config: SimulationConfig, split: str) -> ClipSource:
    """The clips of a split ('train' or 'heldout'), yet to be made."""
    sizes = {"train": config.train, "heldout": config.heldout}[split]
    per_simulation = sizes.views * sizes.takes
    keys = [
        ClipKey(split, index // per_simulation, index % per_simulation // sizes.takes, index % sizes.takes)
        for index in range(sizes.clips)
    ]
    settings = config.model_dump_json(exclude={"train", "heldout", "quality"})
    identity = f"{_VERSION}:{settings}:{split}:{sizes.model_dump_json()}"
    return ClipSource(
        clip_ids=[clip_id(config, key) for key in keys],
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        make=partial(_make, config, keys),
        description=f"Simulating {split} clips",
    )


def clip_id(config: SimulationConfig, key: ClipKey) -> str:
    """Such as train-ball_ramp-00012-v0-t0."""
    return f"{key.split}-{_scene_of(config, key)}-{key.simulation:06d}-v{key.view}-t{key.take}"


def make_clip(config: SimulationConfig, key: ClipKey) -> Clip:
    """Make one clip.

    Raises:
        ConfigurationError: no configuration of the scene could be simulated and seen; names the scene and why.
        InvalidClipError: its annotations disagree with each other.
    """
    simulation = draw_simulation(config, key)
    for attempt in range(_MOST_REDRAWS):
        draw = Draw(key.rng(config.seed, _CAMERA, attempt))
        scene, prompt = build_scene(config, simulation, draw, key)
        image = render(scene, config.height, config.width, samples=config.samples, seed=key.simulation)
        try:
            _check_view(image, simulation.description)
        except BadDrawError as error:
            reason = str(error)
            continue
        return _clip(config, key, simulation, View(scene, image, prompt, draw, attempt))
    raise ConfigurationError(f"scene '{simulation.scene}': no camera of {_MOST_REDRAWS} saw it ({reason})")


def draw_simulation(config: SimulationConfig, key: ClipKey) -> Simulation:
    """Draw configurations until one can be simulated, and roll it out (the nudged start, for the second take)."""
    name = _scene_of(config, key)
    for attempt in range(_MOST_REDRAWS):
        draw = Draw(key.rng(config.seed, _WORLD, attempt))
        description = SCENES[name].declare(draw)
        nudge = None
        if key.take:
            shape = (len(description.things), 3)
            nudge = key.rng(config.seed, _NUDGE, attempt).normal(0, config.take_perturbation, shape)
            nudge[:, 2] = np.abs(nudge[:, 2])  # up, not into what is below
        try:
            rollout = roll_out(description, frames=config.frames, fps=config.fps, nudge=nudge)
            _check_motion(description, rollout)
        except BadDrawError as error:
            reason = str(error)
            continue
        return Simulation(name, description, rollout, draw, attempt)
    raise ConfigurationError(f"scene '{name}': none of {_MOST_REDRAWS} configurations could be simulated ({reason})")


def build_scene(
    config: SimulationConfig, simulation: Simulation, camera_draw: Draw, key: ClipKey
) -> tuple[RenderScene, str]:
    """The scene to render for one camera, and the whole prompt."""
    camera, words = draw_camera(
        simulation.description,
        config.camera,
        camera_draw,
        frames=config.frames,
        height=config.height,
        width=config.width,
    )
    looks = Draw(key.rng(config.seed, _LOOKS, 0))
    scene = stage(simulation.description, simulation.rollout, camera, looks)
    camera_draw.values.update(looks.values)
    return scene, f"{simulation.description.prompt} {words}"


def _make(config: SimulationConfig, keys: list[ClipKey], index: int) -> Clip:
    return make_clip(config, keys[index])


def _scene_of(config: SimulationConfig, key: ClipKey) -> str:
    return config.scenes[key.simulation % len(config.scenes)]


def _check_motion(description: Description, rollout: Rollout) -> None:
    travelled = np.linalg.norm(rollout.poses[..., :3, 3] - rollout.poses[:1, :, :3, 3], axis=-1).max()
    if description.at_rest and travelled > 0.03:
        raise BadDrawError("what should stand still moves")
    if not description.at_rest and travelled < 0.1 * description.radius:
        raise BadDrawError("nothing moves")


def _check_view(image: RenderOutput, description: Description) -> None:
    on_things = image.segmentation > 0
    if np.nanmin(image.depth) < 0.1:
        raise BadDrawError("the camera is inside a thing")
    if on_things[0].mean() < 0.005:
        raise BadDrawError("nothing that moves is in the first frame")
    moved = np.linalg.norm(image.motion[..., :2], axis=-1)[on_things[:-1]]
    if not description.at_rest and moved.max() < 0.01 * image.depth.shape[1]:
        raise BadDrawError("no motion is visible")


def _clip(config: SimulationConfig, key: ClipKey, simulation: Simulation, view: View) -> Clip:
    scene, image = view.scene, view.image
    clip = Clip(
        clip_id=clip_id(config, key),
        rgb=image.rgb,
        fps=config.fps,
        source="simulation",
        depth=image.depth,
        motion=image.motion,
        motion_valid=image.motion_valid,
        segmentation=image.segmentation,
        intrinsics=scene.camera.intrinsics,
        world_from_camera=scene.camera.world_from_camera,
        **track_points(scene, image, config.track_points, key.rng(config.seed, _TRACKS, 0)),
        prompt=view.prompt,
        category=SCENES[simulation.scene].category,
        scene=simulation.scene,
        seed=config.seed,
        parameters={
            "configuration": {**simulation.draw.values, **view.draw.values},
            "configuration_hash": simulation.draw.configuration_hash(),
            "simulation": f"{key.split}-{key.simulation:06d}",
            "view": key.view,
            "take": key.take,
            "redraws": simulation.redraws + view.redraws,
        },
    )
    check_consistency(clip)
    return clip
