import numpy as np
import pytest

from phys4d_kedro.evaluation.medians import MedianSearch


def search(batches: list[np.ndarray]) -> np.ndarray:
    found = MedianSearch(batches[0].shape[1])
    for _ in range(MedianSearch.PASSES):
        for batch in batches:
            found.add(batch)
        found.narrow()
    return found.medians


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_medians_are_those_of_a_sort(count):
    rng = np.random.default_rng(count)
    values = np.exp(rng.normal(0, 8, (count, 30))).astype(np.float32)
    values[:, :5] = np.round(values[:, :5] % 3) + 1  # ties
    batches = [part for part in np.array_split(values, 3) if len(part)]
    np.testing.assert_array_equal(search(batches), np.sort(values, 0)[(count - 1) // 2])
    np.testing.assert_array_equal(search(batches), np.quantile(values, 0.5, axis=0, method="lower"))


def test_infinite_values_do_not_count_and_empty_cells_are_nan():
    values = np.full((5, 3), np.inf, np.float32)
    values[:3, 0] = [3, 1, 2]
    values[4, 1] = 0.25
    np.testing.assert_array_equal(search([values[:2], values[2:]]), np.float32([2, 0.25, np.nan]))
