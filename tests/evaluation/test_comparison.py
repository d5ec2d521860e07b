"""What the summary of a comparison says: analytic tables whose means, margins and certainty are known."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from phys4d_kedro.evaluation.comparison import (
    COLUMNS,
    COMPARISON_METRICS,
    GENERATION,
    PERCEPTION,
    STAGES,
    summarise_comparison,
)

CLIPS, SEEDS = 12, (0, 1, 2)
RNG = np.random.default_rng(0)
HARD, LUCK, NOISE = RNG.uniform(1, 3, CLIPS), RNG.normal(0, 0.05, 3), RNG.normal(0, 0.1, (CLIPS, 3))


def table(
    value: Callable[[str, int, int], float | None], metric: str = "abs_rel_image", kind: str = PERCEPTION
) -> pd.DataFrame:
    """A metric of every stage, seed and clip."""
    rows = [
        (kind, stage, seed, None, f"clip-{clip}", "s", metric, value(stage, seed, clip))
        for stage in STAGES
        for seed in SEEDS
        for clip in range(CLIPS)
        if value(stage, seed, clip) is not None
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64", "sample": "Int64"})


def noisy(_stage: str, seed: int, clip: int) -> float:
    """Some clips are harder, some trainings luckier: the same for every stage."""
    return HARD[clip] + LUCK[seed] + NOISE[clip, seed]


def summary_of(scores: pd.DataFrame) -> dict:
    summary = summarise_comparison(scores, resamples=400, seed=0)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    return summary


def test_equal_stages_have_margins_of_exactly_zero() -> None:
    margins = summary_of(table(noisy))[PERCEPTION]["abs_rel_image"]["margins"]
    assert {stage: list(earlier) for stage, earlier in margins.items()} == {
        "appearance_control": ["stage1"],
        "sft": ["stage1", "appearance_control"],
        "rl": ["stage1", "appearance_control", "sft"],
    }
    for earlier in margins.values():
        for margin in earlier.values():
            assert margin == {"mean": 0.0, "seed_std": 0.0, "clips": CLIPS, "low": 0.0, "high": 0.0}


def test_a_planted_gain_is_found_and_no_other() -> None:
    """2 % in sft, far below the spread over clips (a third) and seeds: pairing finds it; rl adds noise around zero."""
    extra = np.random.default_rng(1).normal(0, 0.02, (CLIPS, 3))
    extra -= extra.mean()

    def value(stage: str, seed: int, clip: int) -> float:
        gain = {"sft": 0.02, "rl": 0.02}.get(stage, 0.0)
        return noisy(stage, seed, clip) * (1 - gain) + (extra[clip, seed] if stage == "rl" else 0.0)

    found = summary_of(table(value))[PERCEPTION]["abs_rel_image"]
    for other in ("stage1", "appearance_control"):
        margin = found["margins"]["sft"][other]
        assert 0 < margin["low"] < margin["mean"] < margin["high"]
        assert margin["mean"] == pytest.approx(0.02 * found["means"]["stage1"]["mean"])
        assert margin["high"] < 0.03 * found["means"]["stage1"]["mean"]
    assert found["margins"]["appearance_control"]["stage1"]["low"] == 0
    none = found["margins"]["rl"]["sft"]
    assert none["low"] < 0 < none["high"]
    assert none["mean"] == pytest.approx(0, abs=1e-12)
    worse = summary_of(table(lambda *key: -value(*key), "psnr", GENERATION))[GENERATION]["psnr"]
    assert worse["margins"]["sft"]["stage1"]["mean"] == pytest.approx(found["margins"]["sft"]["stage1"]["mean"])


def test_spread_and_pairing_of_trainings_by_hand() -> None:
    values = {"stage1": (1.0, 2.0, 6.0), "sft": (0.5, 1.0, 4.5)}

    def value(stage: str, seed: int, clip: int) -> float | None:
        return values[stage][seed] + clip if stage in values else None

    found = summary_of(table(value, "mse", GENERATION))[GENERATION]["mse"]
    assert set(found["means"]) == {"stage1", "sft"}
    assert found["means"]["stage1"]["mean"] == pytest.approx(3 + 5.5)
    assert found["means"]["stage1"]["seed_std"] == pytest.approx(np.std(values["stage1"], ddof=1))
    margin = found["margins"]["sft"]["stage1"]
    assert margin["mean"] == pytest.approx(1.0)
    assert margin["seed_std"] == pytest.approx(0.5)  # of 0.5, 1.0 and 1.5, seed by seed
    unpaired = table(lambda stage, seed, clip: value(stage, seed, clip) if (stage, seed) != ("stage1", 2) else None)
    margin = summary_of(unpaired)[PERCEPTION]["abs_rel_image"]["margins"]["sft"]["stage1"]
    assert margin["mean"] == pytest.approx(1.5 - 2.0)
    assert margin["seed_std"] == pytest.approx(np.std(values["sft"], ddof=1))


def test_samples_are_averaged_before_clips_and_seeds() -> None:
    one = table(noisy, "mse", GENERATION).assign(sample=0)
    two = one.assign(sample=1, value=one["value"] + 1)
    alone, both = (summary_of(scores)[GENERATION]["mse"] for scores in (one, pd.concat([one, two])))
    for stage in STAGES:
        assert both["means"][stage]["mean"] == pytest.approx(alone["means"][stage]["mean"] + 0.5)
        assert both["means"][stage]["clips"] == CLIPS


def test_a_number_of_all_clips_together_has_no_interval() -> None:
    rows = [
        (GENERATION, stage, seed, 0, None, None, "frechet", 4.0 - index + 0.1 * seed)
        for index, stage in enumerate(("stage1", "sft"))
        for seed in SEEDS
    ]
    scores = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64", "sample": "Int64"})
    found = summary_of(scores)[GENERATION]["frechet"]
    assert found["means"]["sft"] == {"mean": pytest.approx(3.1), "seed_std": pytest.approx(0.1)}
    assert found["margins"] == {"sft": {"stage1": {"mean": pytest.approx(1.0), "seed_std": pytest.approx(0.0)}}}


def test_every_metric_is_summarised_in_its_place_and_no_other() -> None:
    scores = pd.concat([table(noisy, name, kind) for kind, names in COMPARISON_METRICS.items() for name in names])
    found = summary_of(scores)
    assert {kind: list(names) for kind, names in found.items()} == {k: list(v) for k, v in COMPARISON_METRICS.items()}
    assert summary_of(scores) == found
