"""Convex upsampling (RAFT, Teed and Deng 2020): a fine value is a learned average of the 3 x 3 coarse ones around."""

import torch
from torch.nn import functional

NEIGHBOURS = 9


def convex_upsample(values: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Fine values inside each cell of a grid; sharp edges stay sharp, a constant field stays constant.

    Args:
        values: (N, h, w, C).
        logits: (N, h, w, 9, F) whose softmax weighs the neighbours of each of F fine places of a cell, row by row.

    Returns:
        (N, h, w, C, F), within the range of the neighbours' values; beyond the border, the border's are repeated.
    """
    h, w = values.shape[1:3]
    padded = functional.pad(values.movedim(-1, 1), (1, 1, 1, 1), mode="replicate").movedim(1, -1)
    around = torch.stack([padded[:, y : y + h, x : x + w] for y in range(3) for x in range(3)], -1)
    return around @ logits.softmax(-2)
