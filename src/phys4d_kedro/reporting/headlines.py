"""A few figures out of nested metrics.

DVC prints a column for every number of a metrics file: those of the evaluation and the comparison have over a thousand.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.errors import ConfigurationError


class HeadlinesConfig(BaseModel):
    """Which figures `dvc metrics` and `dvc exp show` list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    figures: dict[str, str] = Field(
        min_length=1,
        description="A column's name, and where its number is: `evaluation` or `comparison`, then the file's keys.",
    )


def pick_figures(metrics: Mapping[str, Any], figures: Mapping[str, str]) -> dict[str, float]:
    """The number at each of the dotted paths, by the names given to them.

    Raises:
        ConfigurationError: nothing, or no number, is at a path; the message says which keys there are.
    """
    return {name: _number_at(metrics, name, path) for name, path in figures.items()}


def _number_at(metrics: Mapping[str, Any], name: str, path: str) -> float:
    found: Any = metrics
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            there = ", ".join(map(str, found)) if isinstance(found, Mapping) else "a number, which has no keys"
            raise ConfigurationError(f"headlines.figures.{name} = '{path}': no key '{key}'; there is: {there}")
        found = found[key]
    if isinstance(found, bool) or not isinstance(found, int | float):
        keys = f"; go on with one of: {', '.join(map(str, found))}" if isinstance(found, Mapping) else ""
        raise ConfigurationError(f"headlines.figures.{name} = '{path}': {type(found).__name__}, not a number{keys}")
    return float(found)
