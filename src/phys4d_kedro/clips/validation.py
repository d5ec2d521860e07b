"""What must hold of a set of clips, by its manifest and the confidence of its labels."""

from typing import Any

import numpy as np
import pandas as pd

from phys4d_kedro.clips.config import ClipExpectations
from phys4d_kedro.clips.expectations import Suite, check
from phys4d_kedro.clips.store import ClipStore

_STATISTICS = ("depth_min", "depth_max", "depth_valid_share", "motion_max", "motion_valid_share")
_CONFIDENCES = ("depth_confidence", "motion_confidence")


def validate_clips(clips: ClipStore, expectations: ClipExpectations) -> dict[str, Any]:
    """Check a set of clips: its manifest, and the mean confidence of each clip's labels where that is expected.

    Returns:
        The report of `validate_manifest`.

    Raises:
        DataQualityError: names every expectation that failed, and the clips.
        CorruptShardError: a confidence cannot be read.
    """
    wanted = [key for key in _CONFIDENCES if getattr(expectations, f"min_{key}") is not None]
    return validate_manifest(_with_confidences(clips, wanted) if wanted else clips.manifest, expectations)


def validate_manifest(manifest: pd.DataFrame, expectations: ClipExpectations) -> dict[str, Any]:
    """Check a manifest (`ClipStore.manifest`) and describe it.

    Returns:
        JSON-able report: `clips`, `categories` (clips in each), `statistics` (min, median, max of each column of
        statistics) and `checks` (expectation, column, its bounds, success).

    Raises:
        DataQualityError: names every expectation that failed, and the clips.
    """
    table = _with_derived_columns(manifest, expectations)
    checks = check(Suite("clips", "clips", "clip_id", table, _expected(expectations)))
    return {
        "clips": len(manifest),
        "categories": {str(name): int(count) for name, count in manifest["category"].value_counts().items()},
        "statistics": {
            column: _summary(manifest[column]) for column in (*_STATISTICS, *_CONFIDENCES) if column in manifest
        },
        "checks": checks,
    }


def _with_confidences(clips: ClipStore, keys: list[str]) -> pd.DataFrame:
    """The manifest, with the mean over pixels and frames of these arrays; null where a clip has no such array."""
    manifest = clips.manifest.copy()
    for key in keys:
        manifest[key] = [
            float(clips.read_arrays(clip_id, [key])[key].mean(dtype=np.float64)) if key in there else np.nan
            for clip_id, there in zip(manifest["clip_id"], manifest["keys"], strict=True)
        ]
    return manifest


def _with_derived_columns(manifest: pd.DataFrame, expectations: ClipExpectations) -> pd.DataFrame:
    """The scalar columns, and what is expected of the others as columns of their own."""
    table = manifest.drop(columns=["keys", "parameters"])
    for key in expectations.keys:
        table[f"has_{key}"] = [key in keys for keys in manifest["keys"]]
    table["clips_of_category"] = manifest.groupby("category")["clip_id"].transform("size")
    table["motion_max_share"] = manifest["motion_max"] / np.hypot(manifest["height"], manifest["width"])
    return table


def _expected(expectations: ClipExpectations) -> list[Any]:
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
    for column in _CONFIDENCES:
        least = getattr(e, f"min_{column}")
        if least is not None:
            suite += [given(column=column), between(column=column, min_value=least, max_value=1)]
    if "depth" in e.keys:
        suite.append(given(column="depth_max"))  # null where a clip's depth is infinite everywhere
    if e.categories:
        suite.append(gxe.ExpectColumnDistinctValuesToContainSet(column="category", value_set=list(e.categories)))
    return suite


def _summary(values: pd.Series) -> dict[str, float] | None:
    known = values.dropna()
    if known.empty:
        return None
    return {"min": float(known.min()), "median": float(known.median()), "max": float(known.max())}
