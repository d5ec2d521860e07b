"""Node of the headlines pipeline."""

from typing import Any

from phys4d_kedro.reporting.headlines import HeadlinesConfig, pick_figures


def choose_headlines(
    evaluation: dict[str, Any], comparison: dict[str, Any], parameters: HeadlinesConfig
) -> dict[str, float]:
    """The named figures of the evaluation and of the comparison, in one flat table."""
    return pick_figures({"evaluation": evaluation, "comparison": comparison}, parameters.figures)
