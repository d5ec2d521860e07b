"""Which validation is the best, and when to stop waiting for a better one."""

import math

import pytest

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.training.validations import Row, best_step, out_of_patience, validation_row


def table(*values: float) -> list[Row]:
    """Validations after steps 10, 20, ..."""
    return [{"step": 10 * (index + 1), "figure": value} for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "best", "waited"),
    [
        ((), None, 0),
        ((3.0,), 10, 0),
        ((3.0, 2.0, 4.0), 20, 1),
        ((2.0, 2.0, 2.0), 10, 2),
        ((math.nan, 5.0, math.inf, math.nan), 20, 2),
        ((-math.inf, 1.0), 20, 0),
        ((math.nan, math.nan), None, 2),
    ],
)
def test_best_is_the_first_lowest_finite_one(values: tuple[float, ...], best: int | None, waited: int) -> None:
    rows = table(*values)
    assert best_step(rows, "figure") == best
    assert out_of_patience(rows, "figure", None) is None
    assert out_of_patience(rows, "figure", waited + 1) is None
    reason = out_of_patience(rows, "figure", waited) if waited else None
    assert (reason is not None) == bool(waited)
    if reason is not None:
        assert f"in {waited} validations" in reason
        assert "not finite" in reason if best is None else f"of step {best}" in reason


def test_a_row_has_the_step_and_plain_numbers_and_what_is_watched() -> None:
    assert validation_row(7, {"figure": 1}, "figure") == {"step": 7, "figure": 1.0}
    with pytest.raises(ConfigurationError, match=r"gave \[\], but 'figure' is watched"):
        validation_row(7, {}, "figure")
