import json

import numpy as np
import pandas as pd
import pytest

from phys4d_kedro.evaluation.statistics import COLUMNS, bootstrap_interval, summarise_scores


def table(rows: list[tuple]) -> pd.DataFrame:
    full = [(p, seed, clip, "s", "image", metric, value) for p, seed, clip, metric, value in rows]
    return pd.DataFrame(full, columns=list(COLUMNS)).astype({"seed": "Int64"})


def test_means_margins_and_spread_on_numbers_done_by_hand():
    rows = [("heads", s, c, "epe", v) for s, c, v in [(0, "a", 1.0), (0, "b", 2.0), (1, "a", 2.0), (1, "b", 5.0)]]
    rows += [("still", None, "a", "epe", 4.0), ("still", None, "b", "epe", 8.0), ("still", None, "c", "epe", 90.0)]
    summary = summarise_scores(table(rows), subject="heads", resamples=200, seed=0)["epe"]["image"]
    assert summary["means"]["heads"] == {"mean": 2.5, "seed_std": pytest.approx(2 / np.sqrt(2)), "clips": 2}
    assert summary["means"]["still"] == {"mean": 34.0, "seed_std": None, "clips": 3}
    margin = summary["margins"]["still"]  # only on the clips both have: a ahead by 2.5, b by 4.5
    assert margin["mean"] == 3.5
    assert margin["seed_std"] == pytest.approx(2 / np.sqrt(2))
    assert margin["clips"] == 2
    assert 2.5 <= margin["low"] <= 3.5 <= margin["high"] <= 4.5
    assert set(summary["margins"]) == {"still"}


def test_margins_are_positive_where_the_subject_is_better_also_if_more_is_better():
    rows = [("heads", 0, c, "delta_1", 0.9) for c in "ab"] + [("still", None, c, "delta_1", 0.4) for c in "ab"]
    summary = summarise_scores(table(rows), subject="heads", resamples=20, seed=0)
    assert summary["delta_1"]["image"]["margins"]["still"]["mean"] == pytest.approx(0.5)
    assert summary["delta_1"]["image"]["margins"]["still"]["seed_std"] is None
    json.dumps(summary, allow_nan=False)


def test_the_bootstrap_is_determined_by_its_seed_and_covers_as_it_says():
    values = np.random.default_rng(0).normal(1, 1, 40)
    intervals = [bootstrap_interval(values, resamples=300, rng=np.random.default_rng(s)) for s in (1, 1, 2)]
    assert intervals[0] == intervals[1] != intervals[2]
    covered = 0
    for k in range(200):
        rng = np.random.default_rng([3, k])
        low, high = bootstrap_interval(rng.normal(1, 1, 40), resamples=300, rng=rng)
        covered += low <= 1 <= high
    assert 0.88 <= covered / 200 <= 0.98
    assert bootstrap_interval(np.ones(5), resamples=10, rng=np.random.default_rng(0)) == (1.0, 1.0)
