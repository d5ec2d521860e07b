"""What stage 3 gains on held-out clips, from more worlds than the comparison has.

    python benchmarks/rl_gain.py                       # after kedro run --env=full
    python benchmarks/rl_gain.py --data <folder> --samples 3 --clips 36

Every training seed of stages 2 and 3 generates worlds from the same first frames and noise, which are judged by the
terms of the reward. The margin of stage 3 is averaged over samples and seeds; its interval is the comparison's, of a
paired bootstrap over clips.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from _conf import ROOT, parameters
from _scale import markdown
from tqdm import tqdm

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison_clips import Training, list_trainings
from phys4d_kedro.evaluation.statistics import Metric, by_clip_and_seed, margin, mean_over_clips
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.rl_events import ClipEvents
from phys4d_kedro.training.rl_task import seed_of
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.sampling import sample
from phys4d_kedro.world_model.world_model import WorldModel

STAGES = ("sft", "rl")
TERMS = (  # all are better where they are higher
    "chamfer_4d_heads",
    "chamfer_4d_estimators",
    "chamfer_per_frame_heads",
    "chamfer_per_frame_estimators",
    "motion_iou",
    "appearance",
)
RESAMPLES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument("--clips", type=int, default=36)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--result", type=Path, default=ROOT / "benchmarks/results/rl_gain.json")
    options = parser.parse_args()
    heldout = ClipStore(options.data / "02_intermediate/simulated_clips_heldout")
    clips = heldout.subset(heldout.ids[: options.clips])
    models = options.data / "06_models"
    trainings = list_trainings({stage: models / stage for stage in STAGES})
    with tempfile.TemporaryDirectory() as folder:
        cache = LatentCache(Path(folder))  # of all: what they have in common encodes the clips
        table = pd.concat([worlds_of(one, models / "backbone", clips, options.samples, cache) for one in trainings])
    result = {"clips": int(table["clip_id"].nunique()), "samples": options.samples, "terms": summarise(table)}
    options.result.write_text(json.dumps(result, indent=2) + "\n")
    lines = [
        [term, *(f"{row[stage]['mean']:.4f}" for stage in STAGES), interval(row["margin"])]
        for term, row in result["terms"].items()
    ]
    print(f"{result['clips']} clips, {options.samples} samples\n\n{markdown(['term', *STAGES, 'gain'], lines)}")


@torch.no_grad()
def worlds_of(training: Training, backbone: Path, clips: ClipStore, samples: int, cache: LatentCache) -> pd.DataFrame:
    """Terms of the reward, a row a world."""
    config = RlConfig.model_validate(parameters("rl"))
    sampling = config.validation.sampling
    model = WorldModel.load(backbone, training.folder, noise_level=config.noise_level)
    latents = cache.fill([clips], model.backbone)
    labels = PseudoLabelConfig.model_validate(parameters("pseudo_labeling"))
    events = ClipEvents(clips, latents, model, config.reward, labels, seed=0)
    judged = [index for index in range(len(clips)) if events.can_be_judged(index)]
    worlds = [(index, number) for index in judged for number in range(samples)]
    options: dict[str, Any] = {"steps": sampling.steps, "guidance": sampling.guidance, **events.size(0)}
    rows: list[dict[str, Any]] = []
    starts = range(0, len(worlds), sampling.batch_size)
    for start in tqdm(starts, desc=f"{training.stage}, seed {training.seed}", unit="batch"):
        batch = worlds[start : start + sampling.batch_size]
        indices, seeds = [index for index, _ in batch], [seed_of(events, *world) for world in batch]
        condition = latents.conditions(indices)
        videos = sample(model.backbone, condition, **options, seeds=seeds)
        found = events.judge(indices, seeds, videos, condition)
        about = [{"clip_id": clips.ids[i], "seed": training.seed, "stage": training.stage} for i in indices]
        rows += [{**one, **terms} for one, terms in zip(about, found, strict=True)]
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """Means of both stages, and how far stage 3 is ahead, by term."""
    found: dict[str, Any] = {}
    for term in TERMS:
        rows = table.rename(columns={term: "value"}).dropna(subset="value")
        values = {stage: by_clip_and_seed(rows[rows["stage"] == stage]) for stage in STAGES}
        ahead = margin(Metric(term, "", True), values["rl"], values["sft"], resamples=RESAMPLES, seed=0)
        found[term] = {**{stage: mean_over_clips(value) for stage, value in values.items()}, "margin": ahead}
    return found


def interval(ahead: dict[str, Any]) -> str:
    return f"{ahead['mean']:+.4f} ({ahead['low']:+.4f} to {ahead['high']:+.4f})"


if __name__ == "__main__":
    main()
