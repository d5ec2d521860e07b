"""What steps leave behind: losses that stay on the device until somebody needs them, then rows of plain numbers."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch

from phys4d_kedro.training import ranks

Row = dict[str, float]


@dataclass(frozen=True)
class MicroBatch:
    """One backward pass: its number within the step, its items, loss and figures."""

    number: int
    indices: list[int]
    loss: torch.Tensor | float
    logs: Row


@dataclass(frozen=True)
class StepRecord:
    """One optimiser step, counted from 1: its micro-batches, figures from before it, and the norm of its gradient."""

    step: int
    before: Row
    gradient_norm: torch.Tensor | float
    micro_batches: list[MicroBatch]

    @property
    def finite(self) -> bool:
        """Whether the gradient is, which it is not if a loss is not."""
        return math.isfinite(self.gradient_norm)

    def row(self) -> Row:
        """Means over the micro-batches."""
        return mean_rows([{"loss": float(part.loss), **part.logs} for part in self.micro_batches]) | self.before


def settle(records: Sequence[StepRecord]) -> list[StepRecord]:
    """The records of all processes joined, as numbers. Waits for the device, and for the other processes."""
    plain = [
        replace(
            record,
            before={key: float(value) for key, value in record.before.items()},
            gradient_norm=float(record.gradient_norm),
            micro_batches=[
                replace(part, loss=float(part.loss), logs={key: float(value) for key, value in part.logs.items()})
                for part in record.micro_batches
            ],
        )
        for record in records
    ]
    gathered = cast(list[list[StepRecord]], ranks.gather(plain))
    return [_join(of_ranks) for of_ranks in zip(*gathered, strict=True)]


def mean_rows(rows: Sequence[Row]) -> Row:
    """Means of figures by key, over the rows that have it."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: float(np.mean([row[key] for row in rows if key in row])) for key in keys}


def _join(parts: Iterable[StepRecord]) -> StepRecord:
    first, *others = parts
    micro_batches = [part for record in (first, *others) for part in record.micro_batches]
    return replace(
        first,
        before=mean_rows([first.before, *(record.before for record in others)]),
        micro_batches=sorted(micro_batches, key=lambda part: part.number),
    )
