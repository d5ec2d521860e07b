"""Clips from configurations: drawn, simulated, staged, rendered, annotated, checked."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.annotate import check_consistency, check_images, track_points
from phys4d_kedro.simulation.bad_draws import BadDrawError
from phys4d_kedro.simulation.checks import check_motion, check_view
from phys4d_kedro.simulation.config import SimulationConfig, Split, SplitConfig
from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, render
from phys4d_kedro.simulation.rendering.scene import RenderScene
from phys4d_kedro.simulation.rollout import Rollout
from phys4d_kedro.simulation.scenes import SCENES
from phys4d_kedro.simulation.staging import direction_words, draw_camera, stage

Made = TypeVar("Made")

_MOST_REDRAWS = 50
_VERSION = 4  # of what a configuration becomes; part of every fingerprint, so that a change here remakes the clips

# What tells the streams of random numbers of one simulation apart.
_WORLD, _LOOKS, _CAMERA, _NUDGE, _TRACKS = range(5)


@dataclass(frozen=True)
class ClipKey:
    """Which clip of a split: a simulation, a camera that looks at it, and a take of it."""

    split: Split
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
    """A configuration that could be simulated.

    `draw` holds its attributes, `dropped` counts by reason the draws before it. `rollout` is that of the clip's own
    take, `first_take` that by which cameras are chosen, so that both takes are seen alike.
    """

    scene: str
    description: Description
    rollout: Rollout
    first_take: Rollout
    draw: Draw
    dropped: Counter[str]


@dataclass(frozen=True)
class View:
    """A simulation as one camera sees it; `draw` holds camera and looks, `dropped` the cameras before it by reason."""

    scene: RenderScene
    image: RenderOutput
    prompt: str
    draw: Draw
    dropped: Counter[str]


def simulation_source(config: SimulationConfig, split: Split) -> ClipSource:
    """The clips of a split, yet to be made; none where the split is not configured."""
    sizes = config.split(split)
    settings = config.model_dump(
        exclude={"scenes", "turns", "train", "validation", "heldout", "unseen", "machines", "quality"}
    )
    identity = [_VERSION, settings, split, config.scenes_of(split), sizes and sizes.model_dump()]
    return ClipSource(
        count=sizes.clips if sizes else 0,
        fingerprint=hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
        make=partial(_make, config, split),
        description=f"Simulating {split} clips",
        share=(config.machines.index, config.machines.count),
        together=sizes.views * sizes.takes if sizes else 1,
    )


def clip_key(split: Split, sizes: SplitConfig, index: int) -> ClipKey:
    """The key of clip `index` of a split: takes change fastest, then views, then simulations."""
    return ClipKey(split, index // (sizes.views * sizes.takes), index // sizes.takes % sizes.views, index % sizes.takes)


def make_clip(config: SimulationConfig, key: ClipKey) -> Clip:
    """Make one clip.

    Raises:
        ConfigurationError: no configuration of the scene could be simulated and seen; names the scene and why.
        InvalidClipError: its annotations disagree with each other.
    """
    simulation = draw_simulation(config, key)
    view = _draw_view(config, replace(simulation, rollout=simulation.first_take), key)
    if key.take:
        scene, _ = build_scene(config, simulation, Draw(key.rng(config.seed, _CAMERA, view.dropped.total())), key)
        view = replace(view, scene=scene, image=_render(config, scene, key))
    return _clip(config, key, simulation, view)


def draw_simulation(config: SimulationConfig, key: ClipKey) -> Simulation:
    """Draw configurations until one can be simulated; for the second take, also draw starts beside its start.

    A process keeps the last simulation of each take for the views that follow.
    """
    return _simulation(config.model_dump_json(), replace(key, view=0))


@lru_cache(maxsize=2)
def _simulation(configuration: str, key: ClipKey) -> Simulation:
    config = SimulationConfig.model_validate_json(configuration)
    name = _scene_of(config, key)

    def first_take(attempt: int) -> tuple[Draw, Description, Rollout]:
        draw = Draw(key.rng(config.seed, _WORLD, attempt))
        description = SCENES[name].declare(draw)
        return draw, description, _simulate(config, key, description, None)

    (draw, description, first), dropped = _redraw(first_take, f"scene '{name}': no configuration can be simulated")
    if not key.take:
        return Simulation(name, description, first, first, draw, dropped)

    def second_take(attempt: int) -> Rollout:
        nudge = np.zeros((len(description.elements), 3))  # sideways only: most things stand on something
        rng = key.rng(config.seed, _NUDGE, attempt)
        nudge[:, :2] = rng.normal(0, config.take_perturbation, (len(nudge), 2))
        return _simulate(config, key, description, nudge)

    second, more = _redraw(second_take, f"scene '{name}': no second take of configuration {draw.values} is possible")
    return Simulation(name, description, second, first, draw, dropped + more)


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
    camera_draw.include(looks)
    directions = {"direction": direction_words(camera, (1, 0)), "opposite": direction_words(camera, (-1, 0))}
    return scene, f"{simulation.description.prompt.format(**directions)} {words}"


def _draw_view(config: SimulationConfig, simulation: Simulation, key: ClipKey) -> View:
    def view(attempt: int) -> tuple[RenderScene, RenderOutput, str, Draw]:
        draw = Draw(key.rng(config.seed, _CAMERA, attempt))
        scene, prompt = build_scene(config, simulation, draw, key)
        image = _render(config, scene, key)
        check_view(simulation.description, image)
        check_images(image.depth, image.motion, image.motion_valid, f"scene '{simulation.scene}'")
        return scene, image, prompt, draw

    seen, dropped = _redraw(view, f"scene '{simulation.scene}': no camera sees what matters")
    return View(*seen, dropped)


def _redraw(make: Callable[[int], Made], failure: str) -> tuple[Made, Counter[str]]:
    """What the first attempt makes that is no bad draw, and the bad ones by kind.

    Raises:
        ConfigurationError: all attempts are bad draws.
    """
    dropped: Counter[str] = Counter()
    for attempt in range(_MOST_REDRAWS):
        try:
            return make(attempt), dropped
        except BadDrawError as error:
            reason = str(error)
            dropped[error.kind] += 1
    raise ConfigurationError(f"{failure}: {_MOST_REDRAWS} tries, the last: {reason}")


def _simulate(
    config: SimulationConfig, key: ClipKey, description: Description, nudge: NDArray[np.float64] | None
) -> Rollout:
    rollout = roll_out(description, frames=config.frames, fps=config.fps, nudge=nudge, seed=key.simulation)
    check_motion(description, rollout)
    return rollout


def _render(config: SimulationConfig, scene: RenderScene, key: ClipKey) -> RenderOutput:
    return render(scene, config.height, config.width, samples=config.samples, seed=key.simulation)


def _make(config: SimulationConfig, split: Split, index: int) -> Clip:
    sizes = config.split(split)
    if sizes is None or not 0 <= index < sizes.clips:
        raise IndexError(f"clip {index} of split '{split}' with {sizes.clips if sizes else 0} clips")
    return make_clip(config, clip_key(split, sizes, index))


def _scene_of(config: SimulationConfig, key: ClipKey) -> str:
    scenes = config.scenes_of(key.split)
    return scenes[key.simulation % len(scenes)]


def _clip(config: SimulationConfig, key: ClipKey, simulation: Simulation, view: View) -> Clip:
    scene, image = view.scene, view.image
    configuration = simulation.draw.configuration_hash()
    dropped = simulation.dropped + view.dropped
    clip = Clip(
        # Such as train-ball_ramp-1f0c52a9be37-v0-t0.
        clip_id=f"{key.split}-{simulation.scene}-{configuration[:12]}-v{key.view}-t{key.take}",
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
            "configuration_hash": configuration,
            "simulation": f"{key.split}-{key.simulation:06d}",
            "view": key.view,
            "take": key.take,
            "redraws": dropped.total(),
            "dropped": dict(dropped),
        },
    )
    if key.take:  # the first take was checked when its camera was chosen
        check_consistency(clip)
    return clip
