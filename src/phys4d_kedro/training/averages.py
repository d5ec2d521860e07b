"""Exponential moving averages of weights: of any modules, also of those that share their weights with others."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from phys4d_kedro.training.checkpoints import Modules, Tensors


def start_averages(modules: Modules) -> dict[str, Tensors]:
    """Copies of the weights and buffers, by module and key."""
    return {
        name: {key: value.detach().clone() for key, value in module.state_dict().items()}
        for name, module in modules.items()
    }


@torch.no_grad()
def update_averages(modules: Modules, averages: dict[str, Tensors], decay: float, step: int) -> None:
    """Move averages towards the weights, in place; young ones forget faster, so that initial weights do not linger.

    Buffers of whole numbers are copied.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for name, average in averages.items():
        current = modules[name].state_dict()
        floating = [key for key, value in average.items() if value.is_floating_point()]
        torch._foreach_lerp_([average[k] for k in floating], [current[k] for k in floating], weight)
        for key in average.keys() - set(floating):
            average[key].copy_(current[key])


@contextmanager
def averaged(modules: Modules, averages: dict[str, Tensors]) -> Iterator[None]:
    """The averages are in the modules inside, and the weights of before, to the bit, afterwards."""
    _swap(modules, averages)
    try:
        yield
    finally:
        _swap(modules, averages)


@torch.no_grad()
def _swap(modules: Modules, averages: dict[str, Tensors]) -> None:
    """Exchange values in place, tensor by tensor: little memory, and whoever shares a weight sees the average too."""
    for name, average in averages.items():
        current = modules[name].state_dict()
        for key, value in average.items():
            held = current[key].clone()
            current[key].copy_(value)
            value.copy_(held)
