"""Exact medians of more values than memory holds."""

import numpy as np
from numpy.typing import NDArray


class MedianSearch:
    """Lower medians of many cells at once, exactly, in four passes over the values and 256 counters a cell.

    Positive floats are ordered as their bits are, so a median is found digit by digit (of eight bits): each pass counts
    the digits of those values that share the digits found so far.

        search = MedianSearch(cells)
        for _ in range(MedianSearch.PASSES):
            for values in batches:  # the same in every pass
                search.add(values)
            search.narrow()
        search.medians
    """

    PASSES = 4

    def __init__(self, cells: int) -> None:
        self._prefix = np.zeros(cells, np.uint32)
        self._rank = np.zeros(cells, np.int64)
        self._counts = np.zeros((cells, 256), np.int64)
        self._empty = np.zeros(cells, np.bool_)
        self._pass = 0

    def add(self, values: NDArray[np.float32]) -> None:
        """Count values (N, cells); those that are not positive and finite are left out."""
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        shift = np.uint32(24 - 8 * self._pass)
        known = np.isfinite(values) & (values > 0)
        if self._pass:
            known &= bits >> (shift + np.uint32(8)) == self._prefix
        digit = (bits >> shift & np.uint32(255)).astype(np.int64) + 256 * np.arange(len(self._prefix))
        self._counts += np.bincount(digit[known], minlength=self._counts.size).reshape(self._counts.shape)

    def narrow(self) -> None:
        """End a pass: fix the next digit of every cell."""
        cumulative = self._counts.cumsum(1)
        if self._pass == 0:
            self._rank = (cumulative[:, -1] - 1) // 2
            self._empty = cumulative[:, -1] == 0
        digit = (cumulative <= self._rank[:, None]).sum(1)
        digit[self._empty] = 0
        below = np.take_along_axis(cumulative - self._counts, digit[:, None], 1)[:, 0]
        self._rank -= below
        self._prefix = self._prefix << np.uint32(8) | digit.astype(np.uint32)
        self._counts[:] = 0
        self._pass += 1

    @property
    def medians(self) -> NDArray[np.float32]:
        """(cells,) after PASSES passes; NaN where a cell has no value."""
        assert self._pass == self.PASSES
        return np.where(self._empty, np.float32(np.nan), self._prefix.view(np.float32))
