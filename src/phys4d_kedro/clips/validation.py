"""Great Expectations over the manifest of a set of clips: is it what the stages after it count on?"""

import os
from typing import Any

import numpy as np
import pandas as pd

from phys4d_kedro.clips.config import ClipExpectations
from phys4d_kedro.errors import DataQualityError

_MAX_NAMED = 10
_STATISTICS = ("depth_min", "depth_max", "depth_valid_share", "motion_max", "motion_valid_share")


def validate_manifest(manifest: pd.DataFrame, expectations: ClipExpectations) -> dict[str, Any]:
    """Check a manifest (`ClipStore.manifest`) and describe it.

    Returns:
        JSON-able report: `clips`, `categories` (clips in each), `statistics` (min, median, max of each column of
        statistics) and `checks` (expectation, column, its bounds, success).

    Raises:
        DataQualityError: names every expectation that failed, and the clips.
    """
    table = _with_derived_columns(manifest, expectations)
    results = _run(table, expectations)
    failures = [_describe(result) for result in results if not result["success"]]
    if failures:
        raise DataQualityError(f"{len(manifest)} clips fail {len(failures)} expectations:\n" + "\n".join(failures))
    return {
        "clips": len(manifest),
        "categories": {str(name): int(count) for name, count in manifest["category"].value_counts().items()},
        "statistics": {column: _summary(manifest[column]) for column in _STATISTICS},
        "checks": [_check(result) for result in results],
    }


def _with_derived_columns(manifest: pd.DataFrame, expectations: ClipExpectations) -> pd.DataFrame:
    """The scalar columns, and what is expected of the others as columns of their own."""
    table = manifest.drop(columns=["keys", "parameters"])
    for key in expectations.keys:
        table[f"has_{key}"] = [key in keys for keys in manifest["keys"]]
    table["clips_of_category"] = manifest.groupby("category")["clip_id"].transform("size")
    table["motion_max_share"] = manifest["motion_max"] / np.hypot(manifest["height"], manifest["width"])
    return table


def _suite(expectations: ClipExpectations) -> list[Any]:
    import great_expectations.expectations as gxe

    between, given = gxe.ExpectColumnValuesToBeBetween, gxe.ExpectColumnValuesToNotBeNull
    e = expectations
    suite = [
        gxe.ExpectTableRowCountToBeBetween(min_value=e.min_clips),
        gxe.ExpectColumnValuesToBeUnique(column="clip_id"),
        between(column="fps", min_value=0, strict_min=True),
        between(column="depth_min", min_value=e.min_depth),
        between(column="depth_max", max_value=e.max_depth),
        between(column="depth_valid_share", min_value=e.min_depth_valid_share),
        between(column="motion_max_share", max_value=e.max_motion),
        between(column="motion_valid_share", min_value=e.min_motion_valid_share),
        between(column="clips_of_category", min_value=e.min_clips_per_category),
    ]
    for column in ("frames", "height", "width"):
        expected = getattr(e, column)
        if expected is not None:
            suite.append(between(column=column, min_value=expected, max_value=expected))
    for key in e.keys:
        suite.append(gxe.ExpectColumnValuesToBeInSet(column=f"has_{key}", value_set=[True]))
    if "depth" in e.keys:
        suite.append(given(column="depth_max"))  # null where a clip's depth is infinite everywhere
    if e.categories:
        suite.append(gxe.ExpectColumnDistinctValuesToContainSet(column="category", value_set=list(e.categories)))
    return suite


def _run(table: pd.DataFrame, expectations: ClipExpectations) -> list[dict[str, Any]]:
    """Validate in memory; one dict an expectation, in the order of the suite."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import: a check of data calls nobody
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("clips").add_dataframe_asset("manifest")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
    suite = gx.ExpectationSuite(name="clips", expectations=_suite(expectations))
    outcome = batch.validate(
        suite, result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["clip_id"]}
    )
    return [result.to_json_dict() for result in outcome.results]


def _check(result: dict[str, Any]) -> dict[str, Any]:
    configuration = result["expectation_config"]
    bounds = {key: value for key, value in configuration["kwargs"].items() if key != "batch_id"}
    return {"expectation": configuration["type"], **bounds, "success": bool(result["success"])}


def _describe(result: dict[str, Any]) -> str:
    """A failed expectation as a line for a user."""
    bounds = _check(result)
    name = bounds.pop("expectation").removeprefix("expect_").replace("_", " ")
    column = bounds.pop("column", None)
    del bounds["success"]
    wanted = ", ".join(f"{key} {value}" for key, value in bounds.items())
    line = f"- {f'{column}: ' if column else ''}{name}{f' ({wanted})' if wanted else ''}"
    if result["exception_info"].get("raised_exception"):
        return f"{line}: could not be checked ({result['exception_info']['exception_message']})"
    details = result["result"]
    if "partial_missing_list" in details:
        return f"{line}: missing {', '.join(map(str, details['partial_missing_list']))}"
    if "unexpected_index_list" not in details:
        return f"{line}: found {details.get('observed_value')}"
    failing = [
        f"{entry['clip_id']} ({entry[column]:.4g})" if isinstance(entry.get(column), float) else entry["clip_id"]
        for entry in details["unexpected_index_list"]
    ]
    more = f" and {len(failing) - _MAX_NAMED} more" if len(failing) > _MAX_NAMED else ""
    return f"{line}: clips {', '.join(failing[:_MAX_NAMED])}{more}"


def _summary(values: pd.Series) -> dict[str, float] | None:
    known = values.dropna()
    if known.empty:
        return None
    return {"min": float(known.min()), "median": float(known.median()), "max": float(known.max())}
