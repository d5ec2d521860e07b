"""A step of stage 1 beside a bare forward and backward of the same modules, and beside encoding on every step.

    python benchmarks/pretrain_step.py

All three do the same arithmetic on the nano backbone of conf (random weights: they do not change the time). "bare" has
every tensor at hand and updates nothing; "loop" is `fit` with cached latents, data order, checks, clipping, optimiser
and averages; "encoding" is a loop that runs the VAE and the text encoder on every step, as trainers without a cache do.
"""

import itertools
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from _conf import ROOT, parameters

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import simulation_source
from phys4d_kedro.training.config import BackboneConfig, LoopConfig, PretrainConfig
from phys4d_kedro.training.heads import HeadsTask, LabelReader, new_heads
from phys4d_kedro.training.loop import fit
from phys4d_kedro.training.objectives import masked_smooth_l1
from phys4d_kedro.training.task import Task
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.nano import build_nano

ROUNDS, STEPS, CLIPS = 7, 12, 16


def main() -> None:
    """Measure, print a table, keep the figures."""
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    print("| variant | s a step (median) | beside bare |\n|---|---|---|")
    for name, seconds in figures.items():
        print(f"| {name} | {seconds:.3f} | {seconds / figures['bare']:.2f} |")
    result = {"threads": torch.get_num_threads(), "seconds_a_step": figures}
    (ROOT / "benchmarks" / "results" / "pretrain_step.json").write_text(json.dumps(result, indent=2) + "\n")


def measure(folder: Path) -> dict[str, float]:
    """Median seconds a step of the three variants, taken in turn."""
    settings: PretrainConfig = PretrainConfig(**parameters("pretrain"))
    clips = make_clips(folder / "clips")
    build_nano(
        folder / "backbone", BackboneConfig(**parameters("backbone")).nano, prompts=clips.manifest["prompt"], seed=0
    )
    backbone = load_backbone(folder / "backbone")
    labels = LabelReader(clips, memory=10**9)
    heads = new_heads(backbone, labels, settings.head, seed=0, **settings.head_sizes)
    latents = LatentCache(folder / "latents").fill([clips], backbone)
    task = HeadsTask(backbone, heads, latents, labels, noise_shift=0.5, depth_weight=1.0, motion_weight=1.0)
    batch = settings.loop.batch_size
    variants: dict[str, Callable[[], list[float]]] = {
        "bare": lambda: bare(task, batch),
        "loop": lambda: loop(task, settings.loop, folder / "run"),
        "encoding": lambda: encoding(task, clips, batch),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, variant in variants.items():
            times[name] += variant()
    return {name: statistics.median(values) for name, values in times.items()}


def bare(task: HeadsTask, batch: int) -> list[float]:
    """Forward of the frozen transformer, forward and backward of the heads, on tensors that are at hand."""
    indices = list(range(batch))
    latents, labels = task.latents.latents(indices), task.labels.batch(indices)
    condition = task.latents.conditions(indices)
    depth, motion = task.heads["depth"], task.heads["motion"]
    depth_target, motion_target = depth.standardise(labels.depth), motion.standardise(labels.motion)
    level = torch.full((batch,), 0.5)

    def step() -> None:
        with torch.no_grad():
            seen = task.backbone.predict(latents, level, condition, features=True)
        loss = masked_smooth_l1(depth(seen), depth_target, labels.depth_weight)
        loss = loss + masked_smooth_l1(motion(seen)[:, 1:], motion_target, labels.motion_weight)
        loss.backward()

    return [timed(step) for _ in range(STEPS)][1:]


def loop(task: Task, settings: LoopConfig, workdir: Path) -> list[float]:
    """Seconds between the steps of `fit`."""
    starts: list[float] = []
    original = task.loss

    def noted(indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        starts.append(time.perf_counter())
        return original(indices, generator)

    task.loss = noted  # type: ignore[method-assign]
    shutil.rmtree(workdir, ignore_errors=True)
    config = settings.model_copy(update={"steps": STEPS, "checkpoint_every": STEPS})
    fit(task, items=CLIPS, config=config, workdir=workdir, fingerprint="0" * 64, description="loop")
    task.loss = original  # type: ignore[method-assign]
    return [after - before for before, after in itertools.pairwise(starts[1:])]


def encoding(task: HeadsTask, clips: ClipStore, batch: int) -> list[float]:
    """The task's step with the VAE and text encoder in it."""
    members: list[Clip] = [clips[index] for index in range(batch)]
    rgb = torch.stack([torch.from_numpy(clip.rgb) for clip in members])
    prompts = [clip.prompt for clip in members]

    def step() -> None:
        task.backbone.encode_video(rgb)
        task.backbone.encode_condition(prompts, rgb[:, :1], frames=rgb.shape[1])
        task.loss(list(range(batch)), torch.Generator().manual_seed(0))[0].backward()

    return [timed(step) for _ in range(3)][1:]


def timed(step: Callable[[], None]) -> float:
    """Seconds a call takes."""
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def make_clips(folder: Path) -> ClipStore:
    """Simulated clips of the configured size, with their exact annotations as labels."""
    config = parameters("simulation")
    source = simulation_source(SimulationConfig(**config), "train")
    write_shards((source.make(i) for i in range(CLIPS)), str(folder), clips_per_shard=CLIPS)
    return ClipStore(str(folder))


if __name__ == "__main__":
    main()
