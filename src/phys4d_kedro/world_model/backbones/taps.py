"""What is read off a transformer during one forward pass, without a change to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from phys4d_kedro.world_model.backbones.base import LAYERS


@dataclass
class Tapped:
    """Outputs of blocks by their number, and of other modules by a name."""

    blocks: dict[int, Any] = field(default_factory=dict)
    modules: dict[str, Any] = field(default_factory=dict)

    def layers(self, blocks: int) -> list[Any]:
        """Outputs after each quarter of `blocks` blocks."""
        return [self.blocks[last] for last in layer_ends(blocks)]


def layer_ends(blocks: int) -> list[int]:
    """Numbers of the blocks that end each quarter of them."""
    return [-(-blocks * (quarter + 1) // LAYERS) - 1 for quarter in range(LAYERS)]


@contextmanager
def taps(blocks: torch.nn.ModuleList, modules: dict[str, torch.nn.Module]) -> Iterator[Tapped]:
    """Collect outputs of the blocks that end a quarter, and of `modules`."""
    tapped = Tapped()
    hooks = [
        *(
            blocks[end].register_forward_hook(partial(_keep, tapped.blocks, end))
            for end in set(layer_ends(len(blocks)))
        ),
        *(module.register_forward_hook(partial(_keep, tapped.modules, name)) for name, module in modules.items()),
    ]
    try:
        yield tapped
    finally:
        for hook in hooks:
            hook.remove()


def _keep(store: dict[Any, Any], key: Any, _module: torch.nn.Module, _args: Any, output: Any) -> None:
    store[key] = output
