"""What stage 1's heads still see at each noise level: the reason why stage 2 weighs its 4D losses by it.

    python benchmarks/noise_weighting.py
    python benchmarks/noise_weighting.py --backbone <folder> --heads <stage>/seed_0 --clips <clips> --limit 36

Errors of log depth and of motion on held-out clips, at several noise levels, beside those of the targets' mean, which
is all that is left to say where nothing can be seen. `kept` is the share of the mean's error that the heads take away.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from _conf import ROOT

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.geometry.lifting import moving_instances
from phys4d_kedro.training.objectives import geometry_weight
from phys4d_kedro.world_model.heads import Head, encode_depth, encode_motion
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.world_model import WorldModel

LEVELS = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)
POWERS = (1.0, 2.0)
MOVING = 0.01  # metres, as in the evaluation

Errors = dict[str, list[float]]


def main() -> None:
    """Measure, print a table, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default=str(ROOT / "data/06_models/backbone"))
    parser.add_argument("--heads", type=Path, default=ROOT / "data/06_models/heads/seed_0")
    parser.add_argument("--clips", default=str(ROOT / "data/02_intermediate/simulated_clips_heldout"))
    parser.add_argument("--limit", type=int, default=36, help="clips that are read")
    parser.add_argument("--result", type=Path, default=ROOT / "benchmarks/results/noise_weighting.json")
    options = parser.parse_args()
    model = WorldModel.load(options.backbone, options.heads, noise_level=LEVELS[0])
    clips = ClipStore(options.clips)
    figures = measure(model, clips.subset(clips.ids[: options.limit]))
    print(table(figures))
    options.result.write_text(json.dumps(figures, indent=2) + "\n")


def measure(model: WorldModel, clips: ClipStore) -> dict[str, dict[str, float]]:
    """Mean errors by noise level, and of the targets' mean (`mean`)."""
    found: dict[str, Errors] = {}
    with tempfile.TemporaryDirectory() as folder:
        latents = LatentCache(Path(folder)).fill([clips], model.backbone)
        for index, clip in enumerate(clips):
            encoded = latents.latents([index]), latents.conditions([index])
            add(found, "mean", errors_of(model, clip, None))
            for level in LEVELS:
                model.noise_level = level
                with torch.no_grad():
                    reading = model.read_latents(*encoded, seed=index)
                    predicted = model.depth(reading), model.motion(reading)[:, 1:]
                add(found, str(level), errors_of(model, clip, predicted))
    return {level: {name: float(np.mean(values)) for name, values in rows.items()} for level, rows in found.items()}


def add(found: dict[str, Errors], level: str, errors: dict[str, float]) -> None:
    """Put a clip's errors to those of its noise level."""
    for name, value in errors.items():
        found.setdefault(level, {}).setdefault(name, []).append(value)


def errors_of(model: WorldModel, clip: Clip, predicted: tuple[torch.Tensor, torch.Tensor] | None) -> dict[str, float]:
    """Absolute errors, in the standard deviations of the targets, over the image and over what moves.

    Frames that the model is given are left out of depth: they are never noisy.
    """
    clip.require("depth", "motion", "segmentation", "tracks")
    assert clip.segmentation is not None
    depth, motion = torch.from_numpy(clip.depth), torch.from_numpy(clip.motion)
    known = torch.isfinite(depth)
    filled = depth.where(known, torch.ones(()))
    moving = torch.from_numpy(np.isin(clip.segmentation, moving_instances(clip, threshold=MOVING)))
    visible = torch.from_numpy(clip.motion_valid) & known[:-1]
    depth_values, motion_values = predicted or (None, None)
    later = None if depth_values is None else depth_values[:, 1:]
    of_depth = error(model.depth, encode_depth(filled)[1:], later, known[1:], moving[1:])
    of_motion = error(model.motion, encode_motion(motion, filled), motion_values, visible, moving[:-1])
    return {
        f"{name}_{region}": value
        for name, regions in (("depth", of_depth), ("motion", of_motion))
        for region, value in regions.items()
    }


def error(
    head: Head, exact: torch.Tensor, predicted: torch.Tensor | None, known: torch.Tensor, moving: torch.Tensor
) -> dict[str, float]:
    """Of one head, by region; without a prediction, of the mean, which is zero in standardised values."""
    target = head.standardise(exact)
    guess = torch.zeros_like(target) if predicted is None else predicted[0].cpu()
    wrong = (guess - target).abs().mean(-1)
    regions = {"image": known, "objects": known & moving}
    return {region: float(wrong[mask].mean()) for region, mask in regions.items() if mask.any()}


def table(figures: dict[str, dict[str, float]]) -> str:
    """Markdown: the error at each level, the share kept, and the weights to choose from."""
    mean, names = figures["mean"], list(figures["mean"])
    head = ["noise level", *(f"{name}, error (kept)" for name in names), *(f"(1 - s)^{power:g}" for power in POWERS)]
    lines = [head, ["---"] * len(head)]
    for level in map(str, LEVELS):
        row = figures[level]
        shown = [f"{row[name]:.3f} ({1 - row[name] / mean[name]:.2f})" for name in names]
        weights = [f"{float(geometry_weight(torch.tensor(float(level)), power)):.2f}" for power in POWERS]
        lines.append([level, *shown, *weights])
    lines.append(["mean", *(f"{mean[name]:.3f}" for name in names), *[""] * len(POWERS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
