"""A step of stage 2 beside a bare forward and backward of the same modules.

    python benchmarks/sft_step.py

Both do the same arithmetic on the nano backbone of conf (random weights: they do not change the time) with an adapter
and both heads. "bare" has every tensor at hand and updates nothing; "loop" is `fit` with cached latents and labels,
data order, noise, checks, clipping, optimiser and averages.
"""

import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from _conf import ROOT, parameters
from pretrain_step import ROUNDS, STEPS, loop, make_clips, timed

from phys4d_kedro.training.config import BackboneConfig, PretrainConfig
from phys4d_kedro.training.heads import LabelReader, new_heads
from phys4d_kedro.training.objectives import masked_smooth_l1
from phys4d_kedro.training.sft_config import SftConfig
from phys4d_kedro.training.sft_task import LabelledLatents, SftTask
from phys4d_kedro.training.warp_loss import warp_consistency
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.denoising import denoising_loss
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.lora import add_lora
from phys4d_kedro.world_model.nano import build_nano


def main() -> None:
    """Measure, print a table, keep the figures."""
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    print("| variant | s a step (median) | beside bare |\n|---|---|---|")
    for name, seconds in figures.items():
        print(f"| {name} | {seconds:.3f} | {seconds / figures['bare']:.2f} |")
    result = {"threads": torch.get_num_threads(), "seconds_a_step": figures}
    (ROOT / "benchmarks" / "results" / "sft_step.json").write_text(json.dumps(result, indent=2) + "\n")


def measure(folder: Path) -> dict[str, float]:
    """Median seconds a step of both variants, taken in turn."""
    settings, heads = SftConfig(**parameters("sft")), PretrainConfig(**parameters("pretrain"))
    clips = make_clips(folder / "clips")
    build_nano(
        folder / "backbone", BackboneConfig(**parameters("backbone")).nano, prompts=clips.manifest["prompt"], seed=0
    )
    backbone = load_backbone(folder / "backbone")
    labels = LabelReader(clips, memory=10**9)
    made = new_heads(backbone, labels, heads.head, seed=0, **heads.head_sizes)
    add_lora(backbone, settings.lora, seed=0)
    data = LabelledLatents(LatentCache(folder / "latents").fill([clips], backbone), labels)
    quiet = settings.loop.model_copy(update={"validate_every": None, "patience": None, "keep": "last"})
    settings = settings.model_copy(update={"loop": quiet})
    task = SftTask(backbone, made, settings, data, data)
    variants: dict[str, Callable[[], list[float]]] = {
        "bare": lambda: bare(task),
        "loop": lambda: loop(task, settings.loop, folder / "run"),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, variant in variants.items():
            times[name] += variant()
    return {name: statistics.median(values) for name, values in times.items()}


def bare(task: SftTask) -> list[float]:
    """Forward and backward of the adapted transformer, the heads and the losses, on tensors that are at hand."""
    backbone, batch = task.backbone, task.config.loop.batch_size
    indices = list(range(batch))
    latents, condition = task.train.latents.latents(indices), task.train.latents.conditions(indices)
    labels, level = task.train.labels.batch(indices), torch.full((batch,), 0.5)
    noisy, target = latents + 0.1, latents - 0.1
    depth_head, motion_head = task.heads["depth"], task.heads["motion"]
    depth_target, motion_target = depth_head.standardise(labels.depth), motion_head.standardise(labels.motion)
    mask = backbone.loss_mask(latents, condition)

    def step() -> None:
        seen = backbone.predict(noisy, level, condition, features=True)
        depth, motion = depth_head(seen), motion_head(seen)[:, 1:]
        losses = [
            denoising_loss(seen.output, target, mask),
            masked_smooth_l1(depth, depth_target, labels.depth_weight),
            masked_smooth_l1(motion, motion_target, labels.motion_weight),
            warp_consistency(
                depth_head.destandardise(depth),
                motion_head.destandardise(motion),
                labels.depth_weight,
                labels.motion_weight,
            ).mean(),
        ]
        torch.stack(losses).sum().backward()

    return [timed(step) for _ in range(STEPS)][1:]


if __name__ == "__main__":
    main()
