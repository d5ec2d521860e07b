"""Expectations over scores: whole tables pass; each fault is named with its metric, method, seed and clip."""

import numpy as np
import pandas as pd
import pytest

from phys4d_kedro.errors import DataQualityError
from phys4d_kedro.evaluation.score_quality import ScoreExpectations, validate_figures, validate_scores

EXPECTED = ScoreExpectations(
    methods=("heads", "median"), min_clips=3, ranges={"delta_1*": (0, 1), "epe*": (0, 100)}, max_missing=0
)


def scores() -> pd.DataFrame:
    """Two seeds of heads and a baseline without seeds, three clips, two metrics in two regions."""
    rows = [
        (method, seed, f"clip-{clip}", region, metric, 0.5)
        for method, seed in (("heads", 0), ("heads", 1), ("median", None))
        for clip in range(3)
        for region in ("image", "objects")
        for metric in ("delta_1", "epe")
    ]
    return pd.DataFrame(rows, columns=["predictor", "seed", "clip_id", "region", "metric", "value"]).astype(
        {"seed": "Int64"}
    )


def validate(table: pd.DataFrame, expectations: ScoreExpectations = EXPECTED) -> None:
    validate_scores(table, expectations, method="predictor", metric=("metric", "region"))


def at(table: pd.DataFrame, **identity: object) -> pd.Series:
    """Which rows have these values."""
    mask = pd.Series(True, index=table.index)
    for column, value in identity.items():
        mask &= (table[column] == value).fillna(False).astype(bool)
    return mask


def test_a_whole_table_passes_also_where_a_clip_lacks_a_region_for_all() -> None:
    table = scores()
    validate(table)
    validate(table[~at(table, clip_id="clip-1", region="objects")])


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.5])
def test_a_value_that_cannot_be_is_named(value: float) -> None:
    table = scores()
    where = at(table, predictor="heads", seed=1, clip_id="clip-2", region="objects", metric="delta_1")
    table.loc[where, "value"] = value
    with pytest.raises(DataQualityError, match=r"- delta_1 objects: .*max_value 1.*: scores heads seed 1, clip-2 \("):
        validate(table)


def test_a_missing_clip_of_a_seed_is_named() -> None:
    table = scores()
    with pytest.raises(DataQualityError, match=r"missing: .*: scores heads seed 0, clip-1\n?$") as caught:
        validate(
            table[~at(table, predictor="heads", seed=0, clip_id="clip-1")], EXPECTED.model_copy(update={"min_clips": 2})
        )
    assert "seed 1" not in str(caught.value)


def test_too_few_clips_or_seeds_and_missing_methods_are_named() -> None:
    table = scores()
    with pytest.raises(DataQualityError, match=r"clips_of_method: .*min_value 3.*heads seed 0, clip-0"):
        validate(table[~at(table, clip_id="clip-1")])
    with pytest.raises(DataQualityError, match=r"seeds_of_method: .*min_value 2.*: scores heads seed 1, clip-0"):
        validate(table[~at(table, seed=0)], EXPECTED.model_copy(update={"min_seeds": 2}))
    validate(table, EXPECTED.model_copy(update={"min_seeds": 2}))  # the baseline has none, and needs none
    with pytest.raises(DataQualityError, match=r"method: .*: missing median"):
        validate(table[~at(table, predictor="median")])


def test_some_metrics_may_be_missing_where_that_is_allowed() -> None:
    table = scores()
    table = table[~at(table, predictor="heads", seed=0, clip_id="clip-1", metric="epe", region="image")]
    validate(table, EXPECTED.model_copy(update={"max_missing": 1}))
    with pytest.raises(DataQualityError, match="missing: "):
        validate(table)


def test_a_number_of_all_clips_together_is_checked_too_and_is_no_clip() -> None:
    table = scores()
    together = table.drop_duplicates(["predictor", "seed"]).assign(clip_id=None, metric="frechet", region="image")
    validate(pd.concat([table, together]))
    together.loc[together.index[0], "value"] = np.nan
    with pytest.raises(DataQualityError, match=r"frechet image: .*: scores heads seed 0, all clips"):
        validate(pd.concat([table, together]))


def test_methods_are_compared_within_a_group_alone() -> None:
    table = scores().assign(kind=lambda rows: np.where(rows["metric"] == "epe", "generation", "perception"))
    table = table[~((table["kind"] == "generation") & (table["predictor"] == "median"))]
    expected = EXPECTED.model_copy(update={"methods": ("heads",)})
    validate_scores(table, expected, method="predictor", metric=("metric", "region"), group="kind")
    with pytest.raises(DataQualityError, match="median, clip-0"):
        validate(table, expected)


def test_figures_are_finite_or_null() -> None:
    figures = {"epe": {"image": {"means": {"heads": {"mean": 0.5, "seed_std": None, "clips": 3}}, "curve": [0.1, 0.2]}}}
    validate_figures(figures)
    figures["epe"]["image"]["curve"][1] = float("nan")  # type: ignore[index]
    with pytest.raises(DataQualityError, match=r"value: .*: figures epe\.image\.curve\.1"):
        validate_figures(figures)
    with pytest.raises(DataQualityError, match="table row count"):
        validate_figures({})
