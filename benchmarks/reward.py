"""Whether the reward tells good videos from bad, and what judging a clip costs.

    python benchmarks/reward.py

Held-out clips of conf/base/parameters_simulation.yml under a seed of their own, judged by the estimators of
conf/base/parameters_pseudo_labeling.yml, and samples of weights/nano_wan (20 steps) from their first frames. The
reward is minus the relative 4D Chamfer distance: 0 is perfect, -1 as far off as a world that stands still.
"""

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
import pandas as pd
import torch
from _conf import ROOT, parameters
from _scale import markdown, number
from scipy.stats import spearmanr
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.judges import EstimatorsJudge, Generated, HeadsJudge
from phys4d_kedro.evaluation.reward import appearance_drift
from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.evaluation.video_metrics import Video, copy_first_frame, score_video
from phys4d_kedro.evaluation.worlds import WorldReference, prepare_reference, with_given_frame, world_distance
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import simulation_source
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone, Condition
from phys4d_kedro.world_model.config import LoadingConfig, SamplingConfig
from phys4d_kedro.world_model.generation import generate_latents
from phys4d_kedro.world_model.heads import ConvHead
from phys4d_kedro.world_model.requests import requests_like
from phys4d_kedro.world_model.world_model import WorldModel

SEED, JUDGED, SAMPLES = 77, 9, 4
CLIPS = 2 * JUDGED  # each of the second half is another clip of a scene in the first
FILE = ROOT / "benchmarks" / "results" / "reward.json"
WORLD = WorldConfig()
ORDER = ("truth, exact annotations", "truth", "truth through the VAE", "generated", "truth at half speed",
         "still first frame", "truth, another clip of the scene", "truth, reversed")  # fmt: skip
Result = TypeVar("Result")
Generate = Callable[[Backbone, Clip], tuple[torch.Tensor, Condition]]


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    config = SimulationConfig.model_validate(parameters("simulation") | {"seed": SEED, "heldout": {"clips": CLIPS}})
    source = simulation_source(config, "heldout")
    clips = [source.make(i) for i in tqdm(range(CLIPS), desc=source.description, unit="clip")]
    result = measure(clips, sample)
    FILE.write_text(json.dumps(result, indent=2) + "\n")
    show(result)


def sample(backbone: Backbone, clip: Clip) -> tuple[torch.Tensor, Condition]:
    """Latents of SAMPLES videos of what happens after a clip's first frame."""
    sampling = SamplingConfig(steps=20, guidance=1.0, batch_size=SAMPLES)
    return generate_latents(backbone, requests_like([clip], range(SAMPLES)), sampling)


def measure(clips: list[Clip], generate: Generate) -> dict[str, Any]:
    """All figures, JSON-able."""
    backbone = load_backbone(ROOT / "weights" / "nano_wan", LoadingConfig(device="cpu"))
    estimators = EstimatorsJudge(PseudoLabelConfig.model_validate(parameters("pseudo_labeling")))
    heads = HeadsJudge(untrained(backbone), seed=0)
    seconds: dict[str, list[float]] = defaultdict(list)
    rows: list[dict[str, Any]] = []
    references = {clip.clip_id: prepare_reference(clip, WORLD) for clip in clips[:JUDGED]}
    for clip, other in tqdm(zip(clips[:JUDGED], clips[JUDGED:], strict=True), total=JUDGED, desc="Judging"):
        reference = references[clip.clip_id]
        if reference is None:
            continue
        latents, condition = generate(backbone, clip)
        rgb = timed(seconds["decode"], len(latents), partial(backbone.decode_video, latents)).cpu().numpy()
        batch = Generated([clip.with_(rgb=np.ascontiguousarray(video)) for video in rgb], latents, condition)
        timed(seconds["heads"], len(latents), partial(heads.annotate, batch))
        rebuilt = backbone.decode_video(backbone.encode_video(torch.from_numpy(clip.rgb)[None]))[0].cpu().numpy()
        videos = variants(clip, other, rebuilt) + [("generated", video) for video in rgb]
        exact = {"method": ORDER[0], "clip": clip.clip_id, "scene": clip.scene}
        rows.append(exact | worth(clip, reference))
        for method, video in videos:
            start = with_given_frame(clip.with_(rgb=np.ascontiguousarray(video)), reference)
            alone = Generated([start], latents[:1], condition)
            judged = timed(seconds["estimators"], 1, partial(estimators.annotate, alone))[0]
            figures = timed(seconds["lifting and Chamfer"], 1, partial(worth, judged, reference))
            scores = score_video(start.rgb, clip.rgb) | {"drift": appearance_drift(start.rgb, clip.rgb)}
            rows.append({"method": method, "clip": clip.clip_id, "scene": clip.scene} | figures | scores)
    table = pd.DataFrame(rows)
    kept = [reference for reference in references.values() if reference is not None]
    return {
        "clips": f"{len(kept)} of {JUDGED} clips, seed {SEED}; {JUDGED - len(kept)} show no moving object",
        "frames_followed": statistics.fmean(len(o.tracks.points) for r in kept for o in r.objects),
        "methods": by_method(table),
        "correlations": correlations(table[table["method"] == "generated"]),
        "cpu_ms_a_clip": {part: 1e3 * statistics.median(values) for part, values in seconds.items()},
    }


def variants(clip: Clip, other: Clip, rebuilt: Video) -> list[tuple[str, Video]]:
    """Videos whose rank is known, by method."""
    return [
        ("truth", clip.rgb),
        ("truth through the VAE", rebuilt),
        ("truth at half speed", clip.rgb[np.arange(clip.frames) // 2]),
        ("still first frame", copy_first_frame(clip.rgb)),
        ("truth, another clip of the scene", other.rgb),
        ("truth, reversed", clip.rgb[::-1]),
    ]


def worth(judged: Clip, reference: WorldReference) -> dict[str, float]:
    """The reward of a clip with depth and motion, with and without alignment, and frame by frame."""
    score = world_distance(judged, reference, align="first_frame")
    raw = world_distance(judged, reference, align="none")
    return {
        "reward": -score.chamfer_4d / score.scale,
        "per frame": -score.chamfer_per_frame / score.scale,
        "unaligned": -raw.chamfer_4d / raw.scale,
    }


def by_method(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Means over clips, and the share of clips in which the truth, judged alike, is worth more."""
    truth = table[table["method"] == "truth"].set_index("clip")["reward"]
    figures = {}
    for method in ORDER:
        rows = table[table["method"] == method]
        columns = ["reward", "per frame", "unaligned", "mse", "motion_iou", "drift"]
        figures[method] = {name: float(rows[name].mean()) for name in columns if rows[name].notna().all()} | {
            "median reward": float(rows["reward"].median()),
            "truth is better": float((truth.loc[rows["clip"]].to_numpy() > rows["reward"].to_numpy()).mean()),
        }
    return figures


def correlations(samples: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Spearman's rank correlation of the reward with what RGB says, among samples of one first frame: mean over first
    frames, and its standard error."""
    found: dict[str, list[float]] = defaultdict(list)
    for _, group in samples.groupby("clip"):
        for name, sign in (("mse", -1), ("motion_iou", 1)):
            for reward in ("reward", "per frame"):
                value = float(spearmanr(group[reward], sign * group[name]).statistic)
                if np.isfinite(value):
                    found[f"{reward} with {'minus ' if sign < 0 else ''}{name}"].append(value)
    return {
        name: {"mean": statistics.fmean(v), "standard error": statistics.stdev(v) / len(v) ** 0.5, "groups": len(v)}
        for name, v in found.items()
    }


def untrained(backbone: Backbone) -> WorldModel:
    """Heads of the default size, for their time alone."""
    sizes = parameters("pretrain")["conv_head"]
    depth, motion = (
        ConvHead(
            feature_dim=backbone.feature_dim,
            channels=channels,
            temporal=backbone.temporal_compression,
            pixels=backbone.token_pixels,
            mean=[0.0] * channels,
            std=[1.0] * channels,
            backbone="",
            **sizes,
        ).eval()
        for channels in (1, 3)
    )
    return WorldModel(backbone, depth, motion, noise_level=parameters("evaluation")["noise_level"])


def timed(seconds: list[float], clips: int, run: Callable[[], Result]) -> Result:
    """What `run` gives; its CPU seconds a clip are noted."""
    started = time.process_time()
    result = run()
    seconds.append((time.process_time() - started) / clips)
    return result


def show(result: dict[str, Any]) -> None:
    columns = list(result["methods"]["truth"])
    print(f"\n{result['clips']}\n")
    rows = [
        [name, *(number(row[column]) if column in row else "" for column in columns)]
        for name, row in result["methods"].items()
    ]
    print(markdown(["judged by the estimators", *columns], rows))
    lines = [[name, *map(number, row.values())] for name, row in result["correlations"].items()]
    print("\n" + markdown(["rank correlation among samples", "mean", "standard error", "groups"], lines))
    print("\n" + markdown(["part", "CPU ms a clip"], [[k, number(v)] for k, v in result["cpu_ms_a_clip"].items()]))


if __name__ == "__main__":
    main()
