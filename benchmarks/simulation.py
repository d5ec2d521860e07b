"""Clips per second of simulation, beside MuJoCo's own renderer drawing the same scenes.

    apt-get install libosmesa6
    python benchmarks/simulation.py

"ours" makes whole clips: physics, RGB (anti-aliased, soft shadows), depth, motion with its validity, segmentation,
tracks, and the checks every clip passes. "MuJoCo" runs the same physics and draws RGB with the shadow of the same sun,
depth and segmentation of every frame through the same camera; it has neither motion nor tracks. Its default shadow map
(4096) and a small one (1024) are timed, and no shadow at all. All take turns.

"one at a time": one process; ours renders in one thread, MuJoCo's rasteriser uses every core by itself, and its
context, which every new model needs, is not counted. "a process a core": as clips are made in production; the context
counts. "without motion": frame by frame, so that both draw the same images.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("MUJOCO_GL", "osmesa")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the processes that make clips

import mujoco
import numpy as np
from _conf import ROOT, parameters
from joblib import Parallel, delayed

from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import ClipKey, Simulation, build_scene, draw_simulation, make_clip
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, load_kernels, render
from phys4d_kedro.simulation.rendering.scene import RenderScene
from phys4d_kedro.simulation.rendering.stretches import part
from phys4d_kedro.simulation.solvers.model import build_model

SIZES = (64, 256)
LARGE = ((512, 512), (1080, 1920))  # images alone, of a few frames
LARGE_FRAMES = 5
SCENES = ("ball_collide", "block_domino", "ball_in_basket", "unstable_block_stack")
SHADOWS = {"MuJoCo": 4096, "MuJoCo, shadow map of 1024": 1024, "MuJoCo, no shadow": 0}
ROUNDS, TOGETHER_ROUNDS = 5, 3
CORES = os.cpu_count() or 1
THREADED = "ours, a thread a core"
ALONE = "ours, without motion, a thread a core"
NEAR, FAR = 0.05, 50.0

Timing = tuple[float, float]
Images = tuple[np.ndarray, np.ndarray, np.ndarray]


def main() -> None:
    """Measure, print the tables, keep the figures."""
    started = time.perf_counter()
    load_kernels()
    figures: dict[str, Any] = {"cores": CORES, "load_kernels_s": time.perf_counter() - started}
    for size in SIZES:
        figures[f"{size}x{size}x17"] = measure(size)
    for height, width in LARGE:
        figures[f"{height}x{width}"] = measure_images(height, width)
    print("| clip | what | clips/s, a process a core | clips/s, one at a time | CPU s a clip |\n|---|---|---|---|---|")
    for size in SIZES:
        for name, row in figures[f"{size}x{size}x17"]["variants"].items():
            speeds = f"{row['clips_a_second_all_cores']:.2f} | {1 / row['seconds']:.2f} | {row['cpu_seconds']:.2f}"
            print(f"| {size}x{size}x17 | {name} | {speeds} |")
    print("\n| images alone | ms a frame |\n|---|---|")
    for size in SIZES:
        for name, milliseconds in figures[f"{size}x{size}x17"]["image_ms_a_frame"].items():
            print(f"| {size}x{size}, {name} | {milliseconds:.1f} |")
    for height, width in LARGE:
        for name, milliseconds in figures[f"{height}x{width}"].items():
            print(f"| {height}x{width}, {name} | {milliseconds:.1f} |")
    for size in SIZES:
        print(f"\nDo both draw the same at {size}x{size}? {figures[f'{size}x{size}x17']['agreement']}")
    (ROOT / "benchmarks" / "results" / "simulation.json").write_text(json.dumps(figures, indent=2) + "\n")


def measure(size: int) -> dict[str, Any]:
    """Medians over rounds and scenes, variants in turn."""
    config = SimulationConfig(
        **{**parameters("simulation"), "scenes": list(SCENES), "height": size, "width": size, "frames": 17}
    )
    clips: dict[str, list[Timing]] = {name: [] for name in ("ours", *SHADOWS)}
    images: dict[str, list[float]] = {name: [] for name in ("ours", THREADED, ALONE, *SHADOWS)}
    agreement = []
    for number in range(len(SCENES)):
        key = ClipKey("train", number, 0, 0)
        simulation, scene = simulate(config, key)
        views = {name: MujocoView(simulation, scene, (size, size), shadow) for name, shadow in SHADOWS.items()}
        ours = render(scene, size, size, samples=config.samples, seed=0)
        agreement.append(compare(simulation, ours, views["MuJoCo"].draw()))
        for _ in range(ROUNDS):
            clips["ours"].append(timed(partial(make_clip, config, key)))
            draw = partial(render, scene, size, size, samples=config.samples, seed=0)
            images["ours"].append(timed(draw)[0])
            images[THREADED].append(timed(partial(draw, threads=CORES))[0])
            images[ALONE].append(timed(partial(draw_alone, config, scene))[0])
            for name, view in views.items():
                clips[name].append(timed(partial(view.simulate_and_draw, config, key)))
                images[name].append(timed(view.draw)[0])
        for view in views.values():
            view.close()
    together = measure_together(config)
    return {
        "variants": {
            name: {
                "clips_a_second_all_cores": together[name],
                "seconds": statistics.median(wall for wall, _ in clips[name]),
                "cpu_seconds": statistics.median(cpu for _, cpu in clips[name]),
            }
            for name in clips
        },
        "image_ms_a_frame": {name: 1000 * statistics.median(seconds) / 17 for name, seconds in images.items()},
        "agreement": {key: round(statistics.mean(a[key] for a in agreement), 7) for key in agreement[0]},
    }


def measure_images(height: int, width: int) -> dict[str, float]:
    """Milliseconds a frame of images alone, medians over rounds and scenes, variants in turn."""
    changes = {"scenes": list(SCENES), "height": height, "width": width, "frames": LARGE_FRAMES}
    config = SimulationConfig(**{**parameters("simulation"), **changes})
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", THREADED, ALONE, *SHADOWS)}
    for number in range(len(SCENES)):
        simulation, scene = simulate(config, ClipKey("train", number, 0, 0))
        views = {name: MujocoView(simulation, scene, (height, width), shadow) for name, shadow in SHADOWS.items()}
        draw = partial(render, scene, height, width, samples=config.samples, seed=0)
        for _ in range(ROUNDS):
            seconds["ours"].append(timed(draw)[0])
            seconds[THREADED].append(timed(partial(draw, threads=CORES))[0])
            seconds[ALONE].append(timed(partial(draw_alone, config, scene))[0])
            for name, view in views.items():
                seconds[name].append(timed(view.draw)[0])
        for view in views.values():
            view.close()
    return {name: 1000 * statistics.median(each) / LARGE_FRAMES for name, each in seconds.items()}


def measure_together(config: SimulationConfig) -> dict[str, float]:
    """Clips a second when every core has a process that makes clips; medians of rounds, variants in turn."""
    keys = [ClipKey("train", number, 0, 0) for number in range(len(SCENES))] * CORES
    speeds: dict[str, list[float]] = {name: [] for name in ("ours", *SHADOWS)}
    with Parallel(n_jobs=CORES) as pool:
        pool(delayed(produce)(config, key, name) for key in keys[: 2 * CORES] for name in speeds)  # warm up
        for _ in range(TOGETHER_ROUNDS):
            for name, speed in speeds.items():
                wall, _ = timed(partial(pool, [delayed(produce)(config, key, name) for key in keys]))
                speed.append(len(keys) / wall)
    return {name: statistics.median(speed) for name, speed in speeds.items()}


def produce(config: SimulationConfig, key: ClipKey, name: str) -> None:
    """Make a clip, in a process of its own."""
    if name == "ours":
        make_clip(config, key)
        return
    simulation, scene = simulate(config, key)
    view = MujocoView(simulation, scene, (config.height, config.width), SHADOWS[name])
    view.draw()
    view.close()


def simulate(config: SimulationConfig, key: ClipKey) -> tuple[Simulation, RenderScene]:
    """The physics of a clip, and the scene that shows it."""
    simulation = draw_simulation(config, key)
    scene, _ = build_scene(config, simulation, Draw(key.rng(config.seed, 2, 0)), key)
    return simulation, scene


def draw_alone(config: SimulationConfig, scene: RenderScene) -> None:
    """What MuJoCo draws, no more: a frame by itself has RGB, depth and instances, but no motion."""
    for t in range(scene.frames):
        render(part(scene, t, t + 1), config.height, config.width, samples=config.samples, seed=0, threads=CORES)


class MujocoView:
    """A simulation drawn by MuJoCo through the camera, and under the sun, of our scene."""

    def __init__(self, simulation: Simulation, scene: RenderScene, size: tuple[int, int], shadow_map: int) -> None:
        self.model = build_model(simulation.description)
        self.model.vis.quality.shadowsize = shadow_map
        self.model.vis.map.znear = NEAR / self.model.stat.extent
        self.model.vis.map.zfar = FAR / self.model.stat.extent
        self.data = mujoco.MjData(self.model)
        self.scene, self.poses = scene, simulation.rollout.poses
        self.renderer = mujoco.Renderer(self.model, *size)
        self.shadow = shadow_map > 0

    def draw(self) -> Images:
        """RGB, depth and segmentation of every frame."""
        rgb, depth, segmentation = [], [], []
        mujoco.mj_kinematics(self.model, self.data)
        for t in range(len(self.poses)):
            self.data.geom_xpos[1:] = self.poses[t, :, :3, 3]
            self.data.geom_xmat[1:] = self.poses[t, :, :3, :3].reshape(-1, 9)
            self._aim(t)
            rgb.append(self.renderer.render())
            self.renderer.enable_depth_rendering()
            depth.append(self.renderer.render())
            self.renderer.disable_depth_rendering()
            self.renderer.enable_segmentation_rendering()
            segmentation.append(self.renderer.render()[..., 0])
            self.renderer.disable_segmentation_rendering()
        return np.stack(rgb), np.stack(depth), np.stack(segmentation)

    def _aim(self, t: int) -> None:
        self.renderer.update_scene(self.data)
        drawn = self.renderer.scene
        pose, K = self.scene.camera.world_from_camera[t], self.scene.camera.intrinsics
        for camera in drawn.camera:
            camera.pos, camera.forward, camera.up = pose[:3, 3], pose[:3, 2], -pose[:3, 1]
            camera.frustum_near, camera.frustum_far = NEAR, FAR
            camera.frustum_center = 0
            camera.frustum_top = NEAR * K[1, 2] / K[1, 1]
            camera.frustum_bottom = -camera.frustum_top
            camera.frustum_width = 0
        light = drawn.lights[drawn.nlight]
        drawn.nlight += 1
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        direction = np.asarray(self.scene.sun.direction) / np.linalg.norm(self.scene.sun.direction)
        light.pos, light.dir = 5 * direction, -direction
        light.diffuse, light.castshadow = (0.7, 0.7, 0.7), self.shadow

    def simulate_and_draw(self, config: SimulationConfig, key: ClipKey) -> None:
        """All the work of a clip but the context."""
        simulate(config, key)
        self.draw()

    def close(self) -> None:
        """Free the GL context."""
        self.renderer.close()


def compare(simulation: Simulation, ours: RenderOutput, drawn: Images) -> dict[str, float]:
    """How far two renderers see the same: depth where both hit something, and the instance at each pixel."""
    both = np.isfinite(ours.depth) & (ours.depth < FAR / 2) & (drawn[1] < FAR / 2)
    error = np.abs(ours.depth - drawn[1])[both] / ours.depth[both]
    moves = [not thing.fixed for thing in simulation.description.things]
    # MuJoCo's segmentation counts geoms from the ground (0) on and has -1 for the sky; the last entry answers for -1.
    instance = [0, *(sum(moves[: thing + 1]) * moves[thing] for thing in simulation.rollout.thing_of_part), 0]
    return {
        "median relative difference of depth": float(np.median(error)),
        "share of pixels with the same instance": float(np.mean(np.array(instance)[drawn[2]] == ours.segmentation)),
    }


def timed(call: Callable[[], object]) -> Timing:
    """Seconds on the wall and of the CPU that a call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
