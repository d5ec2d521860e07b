"""How good and how fast the default estimators are on simulated clips that nothing was trained on.

    python benchmarks/estimators.py

Clips: the held-out split of conf/base/parameters_simulation.yml, under a seed of its own. Errors are means over clips
of means over pixels; milliseconds are medians on one thread, the estimators taking turns.
"""

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import torch
from _conf import ROOT, parameters
from numpy.typing import NDArray
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.metrics import abs_rel, median_scale
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.perception.flow import DisFlow
from phys4d_kedro.perception.pseudo_labels import label_clip, load_estimators
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import simulation_source

SEED = 31
CLIPS = 36
Flow = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]
Rows = dict[str, dict[str, float]]


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    labels = PseudoLabelConfig.model_validate(parameters("pseudo_labeling"))
    simulation = SimulationConfig.model_validate(parameters("simulation") | {"seed": SEED, "heldout": {"clips": CLIPS}})
    source = simulation_source(simulation, "heldout")
    clips = [source.make(i) for i in tqdm(range(CLIPS), desc=source.description, unit="clip")]
    result = {
        "clips": f"{CLIPS} clips of {simulation.frames} frames, {simulation.height}x{simulation.width}, seed {SEED}",
        "flow": measure_flow(clips),
        "labels": measure_labels(clips, labels),
    }
    for title in ("flow", "labels"):
        print(f"\n{title}: {result['clips']}\n\n{table(result[title])}")  # type: ignore[arg-type]
    target = ROOT / "benchmarks" / "results" / "estimators.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")


def measure_flow(clips: list[Clip]) -> Rows:
    """End-point errors in pixels where the point is visible in the next frame, and milliseconds a pair of frames."""
    preset = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    estimators: dict[str, Flow] = {
        "zero motion": lambda a, b: np.zeros((*a.shape[:2], 2), np.float32),
        "Farneback": lambda a, b: cv2.calcOpticalFlowFarneback(
            grey(a), grey(b), np.zeros((*a.shape[:2], 2), np.float32), 0.5, 3, 9, 5, 5, 1.1, 0
        ),
        "DIS, medium preset": lambda a, b: preset.calc(grey(a), grey(b), np.zeros((*a.shape[:2], 2), np.float32)),
        "DIS as tuned here": DisFlow().predict,
    }
    errors: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in estimators}
    times: dict[str, list[float]] = defaultdict(list)
    for clip in tqdm(clips, desc="Flow", unit="clip"):
        arrays = clip.arrays()
        regions = regions_of(clip)
        for name, estimate in estimators.items():
            started = time.perf_counter()
            flow = np.stack([estimate(a, b) for a, b in pairwise(clip.rgb)])
            times[name].append((time.perf_counter() - started) / (clip.frames - 1))
            error = np.linalg.norm(flow - arrays["motion"][..., :2], axis=-1)
            for region, pixels in regions.items():
                visible = pixels[:-1] & arrays["motion_valid"]
                if visible.any():
                    errors[name][region].append(float(error[visible].mean()))
    return {
        name: {f"EPE {region}": mean(values) for region, values in found.items()}
        | {"ms": 1e3 * statistics.median(times[name])}
        for name, found in errors.items()
    }


def measure_labels(clips: list[Clip], config: PseudoLabelConfig) -> Rows:
    """Errors of whole labels, with the depth of single frames and with depth made consistent over the clip."""
    estimators = load_estimators(config)
    single = config.consistency.model_copy(update={"alignment": "none", "smoothing_passes": 0})
    variants = {
        "depth of single frames": config.model_copy(update={"consistency": single}),
        "made consistent (default)": config,
    }
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in (*variants, "zero motion")}
    for clip in tqdm(clips, desc="Labels", unit="clip"):
        for name, variant in variants.items():
            started = time.perf_counter()
            label = label_clip(clip, variant, estimators)
            found[name]["ms a clip"].append(1e3 * (time.perf_counter() - started))
            for key, value in label_errors(clip, label).items():
                found[name][key].append(value)
        still = label.with_(motion=np.zeros_like(label.arrays()["motion"]))
        for key, value in label_errors(clip, still).items():
            if "AbsRel" not in key and "sky" not in key:
                found["zero motion"][key].append(value)
    return {name: {key: mean(values) for key, values in rows.items()} for name, rows in found.items()}


def label_errors(clip: Clip, label: Clip) -> dict[str, float]:
    """AbsRel raw and aligned, errors of dz and of motion, by region, where the label says that it knows."""
    truth, guess = clip.arrays(), label.arrays()
    regions = regions_of(clip)
    known = np.isfinite(guess["depth"])
    scale = median_scale(guess["depth"], truth["depth"], regions["image"] & known)
    change = np.abs(guess["motion"] - truth["motion"])[..., 2]
    error = np.linalg.norm((guess["motion"] - truth["motion"])[..., :2], axis=-1)
    values = {}
    for region, pixels in regions.items():
        visible = pixels[:-1] & truth["motion_valid"] & guess["motion_valid"]
        if pixels.any() and visible.any():
            values[f"taken for sky {region}"] = 1 - float(known[pixels].mean())
            depths = guess["depth"][pixels & known], truth["depth"][pixels & known]
            values[f"AbsRel raw {region}"] = abs_rel(*depths)
            values[f"AbsRel {region}"] = abs_rel(scale * depths[0], depths[1])
            values[f"EPE {region}"] = float(error[visible].mean())
            values[f"dz error (m) {region}"] = float(change[visible].mean())
    return values


def regions_of(clip: Clip) -> dict[str, NDArray[np.bool_]]:
    """Pixels (T, H, W) of the image where something is hit, and of moving objects."""
    arrays = clip.arrays()
    hit = np.isfinite(arrays["depth"])
    return {"image": hit, "objects": hit & (arrays["segmentation"] > 0)}


def grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def mean(values: list[float]) -> float:
    return float(np.mean(values))


def table(rows: Rows) -> str:
    """Rows as Markdown; a column a metric."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(f"{row[key]:.3g}" if key in row else "" for key in columns) + " |"
        for name, row in rows.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
