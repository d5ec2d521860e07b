"""Figures picked out of nested metrics."""

import pytest

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.reporting.headlines import pick_figures

METRICS = {"evaluation": {"epe": {"image": {"mean": 0.5, "clips": 3, "by": {"a": 1.0}, "exact": True, "spread": None}}}}


def test_figures_lie_flat_under_their_names() -> None:
    figures = {"error": "evaluation.epe.image.mean", "clips": "evaluation.epe.image.clips"}
    assert pick_figures(METRICS, figures) == {"error": 0.5, "clips": 3.0}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("evaluation.eqe.image.mean", "headlines.figures.error = .*: no key 'eqe'; there is: epe"),
        ("evaluation.epe.image.mean.low", "no key 'low'; there is: a number, which has no keys"),
        ("evaluation.epe.image.by", "not a number; go on with one of: a"),
        ("evaluation.epe.image.exact", "bool, not a number"),
        ("evaluation.epe.image.spread", "NoneType, not a number"),
    ],
)
def test_a_wrong_path_says_what_is_there(path: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pick_figures(METRICS, {"error": path})
