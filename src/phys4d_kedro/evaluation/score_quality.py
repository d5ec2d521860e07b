"""What must hold of tables of scores before anything is said of them: finite, in range, and no clip or seed missing."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.clips.expectations import Suite, check

_ALL = "all clips"
"""Stands for the clip where a figure is of all of them together."""
_FINITE = 1e300
_DERIVED = {"score", "method", "missing", "clips_of_method", "seeds_of_method"}


class ScoreExpectations(BaseModel):
    """What must hold of the scores of an evaluation, and of the figures made of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    methods: tuple[str, ...] = Field((), description="Methods, or stages, that the table has; none: any.")
    min_clips: int = Field(1, ge=1, description="Every method is scored on at least this many clips.")
    min_seeds: int = Field(1, ge=1, description="Every method that has seeds has at least this many.")
    max_missing: int | None = Field(
        0,
        ge=0,
        description="Metrics that a method may lack on a clip on which another method has them; null: any number.",
    )
    ranges: dict[str, tuple[float, float]] = Field(
        {},
        description="Smallest and largest value by metric (shell patterns, the first that fits); others: finite.",
    )


def validate_scores(
    table: pd.DataFrame,
    expectations: ScoreExpectations,
    *,
    method: str,
    metric: Sequence[str] = ("metric",),
    clip: str = "clip_id",
    group: str | None = None,
) -> None:
    """Check a tidy table with a column `value`, and `seed` and `sample` where methods have several trainings.

    Args:
        method, clip: the columns that name them; a missing clip stands for all of them together.
        metric: the columns that name a metric together.
        group: a column, such as who judges, within whose values alone methods are expected to have the same metrics.

    Raises:
        DataQualityError: names the metrics, methods, seeds and clips that fail.
    """
    parts = {"": table} if group is None else {f"_{name}": rows for name, rows in table.groupby(group, sort=False)}
    for name, rows in parts.items():
        who = [column for column in (method, "seed", "sample") if column in rows]
        wide = _by_method_and_clip(rows, who, list(metric), clip)
        expected = list(_expected_of_scores(wide, expectations))
        check(Suite(f"scores{name}", "scores", "score", wide, expected))


def validate_figures(figures: Mapping[str, Any]) -> None:
    """Check that every number of a summary, as `metrics/*.json` holds it, is finite; null is allowed.

    Raises:
        DataQualityError: names the figures, as metric.region.means.method.mean.
    """
    import great_expectations.expectations as gxe

    table = pd.DataFrame(_flat(figures), columns=["figure", "value"]).astype({"value": float})
    table["value"] = table["value"].where(~np.isnan(table["value"]), np.inf)  # GX passes over what is null
    finite = gxe.ExpectColumnValuesToBeBetween(column="value", min_value=-_FINITE, max_value=_FINITE)
    check(Suite("figures", "figures", "figure", table, [gxe.ExpectTableRowCountToBeBetween(min_value=1), finite]))


def _by_method_and_clip(rows: pd.DataFrame, who: list[str], metric: list[str], clip: str) -> pd.DataFrame:
    """A row a method, seed, sample and clip, also where there is no score, and a column a metric.

    A score that is no number is infinite here, and one that is not there is null. Beside them: `score`, which names the
    row; `method`; `clips_of_method`; `seeds_of_method`, null without seeds; `missing`: metrics that others have there.
    """
    named = rows.assign(
        metric=rows[metric].astype("string").fillna("all").agg(" ".join, axis=1),
        clip=rows[clip].astype("string").fillna(_ALL),
        who=[_name(values) for values in rows[who].itertuples(index=False)],
        value=rows["value"].astype(float).where(rows["value"].notna(), np.inf),
    )
    wide = named.pivot_table(index=["who", "clip"], columns="metric", values="value", aggfunc="max", sort=False)
    metrics = list(wide.columns)
    methods, clips = (wide.index.unique(level) for level in ("who", "clip"))
    wide = wide.reindex(pd.MultiIndex.from_product([methods, clips], names=["who", "clip"])).reset_index()
    known = wide[metrics].notna()
    anywhere = known.groupby(wide["clip"]).transform("any")
    scored = known.any(axis=1) & (wide["clip"] != _ALL)
    first = named.groupby("who", sort=False)[who].first()
    if "seed" in who:
        seeds = first.groupby(who[0])["seed"].transform("nunique")
        wide["seeds_of_method"] = wide["who"].map(seeds.where(seeds > 0)).astype(float)
    wide["missing"] = (anywhere & ~known).sum(axis=1)
    wide["clips_of_method"] = scored.groupby(wide["who"]).transform("sum")
    wide["score"] = wide["who"] + ", " + wide["clip"]
    wide["method"] = wide["who"].map(first[who[0]].astype(str))
    return wide.drop(columns=["who", "clip"])


def _expected_of_scores(wide: pd.DataFrame, e: ScoreExpectations) -> Iterator[Any]:
    import great_expectations.expectations as gxe

    between = gxe.ExpectColumnValuesToBeBetween
    for name in map(str, wide.columns):
        if name not in _DERIVED:
            fits = (bounds for pattern, bounds in e.ranges.items() if fnmatch(name, pattern))
            low, high = next(fits, (-_FINITE, _FINITE))
            yield between(column=name, min_value=low, max_value=high)
    yield between(column="clips_of_method", min_value=e.min_clips)
    if "seeds_of_method" in wide:
        yield between(column="seeds_of_method", min_value=e.min_seeds)
    if e.max_missing is not None:
        yield between(column="missing", max_value=e.max_missing)
    if e.methods:
        yield gxe.ExpectColumnDistinctValuesToContainSet(column="method", value_set=list(e.methods))


def _name(values: tuple[Any, ...]) -> str:
    """A method with its seed and sample, as far as it has them: `heads seed 0`."""
    method, *numbers = values
    words = zip(("seed", "sample"), numbers, strict=False)
    return " ".join([str(method), *(f"{word} {number}" for word, number in words if not pd.isna(number))])


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in nested dicts and lists, by their path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{index}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)
