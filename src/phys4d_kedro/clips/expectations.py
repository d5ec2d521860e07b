"""Great Expectations over a table in memory: what must hold of it, and which of its rows break that."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pandas as pd

from phys4d_kedro.errors import DataQualityError

_MAX_NAMED = 10


@dataclass(frozen=True)
class Suite:
    """A table and what is expected of it.

    `name` is the kind of table, `rows` what its rows are called (`clips`), `key` the column that names each of them;
    `expectations` are those of Great Expectations.
    """

    name: str
    rows: str
    key: str
    table: pd.DataFrame
    expectations: Sequence[Any]


_RECORD: ContextVar[list[Suite] | None] = ContextVar("checked_suites", default=None)


@contextmanager
def recorded() -> Iterator[list[Suite]]:
    """The suites that are checked inside the block, whether they pass or not, in order."""
    suites: list[Suite] = []
    token = _RECORD.set(suites)
    try:
        yield suites
    finally:
        _RECORD.reset(token)


def check(suite: Suite) -> list[dict[str, Any]]:
    """Check a table.

    Returns:
        A JSON-able dict an expectation: `expectation`, `column`, its bounds, `success`.

    Raises:
        DataQualityError: names every expectation that failed, its column, and the rows.
    """
    record = _RECORD.get()
    if record is not None:
        record.append(suite)
    results = _run(suite)
    failures = [_describe(result, suite) for result in results if not result["success"]]
    if failures:
        counted = f"{len(suite.table)} {suite.rows} fail {len(failures)} expectations"
        raise DataQualityError(f"{counted}:\n" + "\n".join(failures))
    return [_summary(result) for result in results]


def quiet_context() -> Any:
    """A context of Great Expectations in memory, without progress bars and without calling anybody."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def result_format(suite: Suite) -> dict[str, Any]:
    """How much a validation says: all failing rows, by the column that names them."""
    return {"result_format": "COMPLETE", "unexpected_index_column_names": [suite.key]}


def _run(suite: Suite) -> list[dict[str, Any]]:
    """Validate; one dict an expectation, in the order of the suite."""
    context = quiet_context()
    import great_expectations as gx

    asset = context.data_sources.add_pandas(suite.rows).add_dataframe_asset(suite.name)
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": suite.table})
    expected = gx.ExpectationSuite(name=suite.name, expectations=list(suite.expectations))
    outcome = batch.validate(expected, result_format=result_format(suite))
    return [result.to_json_dict() for result in outcome.results]


def _summary(result: dict[str, Any]) -> dict[str, Any]:
    configuration = result["expectation_config"]
    bounds = {key: value for key, value in configuration["kwargs"].items() if key != "batch_id"}
    return {"expectation": configuration["type"], **bounds, "success": bool(result["success"])}


def _describe(result: dict[str, Any], suite: Suite) -> str:
    """A failed expectation as a line for a user."""
    bounds = _summary(result)
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
    failing = [_named(entry, suite.key, column) for entry in details["unexpected_index_list"]]
    more = f" and {len(failing) - _MAX_NAMED} more" if len(failing) > _MAX_NAMED else ""
    return f"{line}: {suite.rows} {', '.join(failing[:_MAX_NAMED])}{more}"


def _named(entry: dict[str, Any], key: str, column: str | None) -> str:
    """A row by its name, with the value that fails where that is a number or a word."""
    value = entry.get(column) if column is not None and column != key else None
    if isinstance(value, float):
        return f"{entry[key]} ({value:.4g})"
    if isinstance(value, str):
        return f"{entry[key]} ({value})"
    return str(entry[key])
