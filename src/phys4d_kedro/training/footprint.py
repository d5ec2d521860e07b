"""What one training step takes, counted without running it: parameters, memory and floating-point operations.

Inside `imagined()` tensors have shapes and types but no data, so that models of any size are built and stepped through
in seconds on any machine. The same counts come out of real tensors, which is how they are tested.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

Loss = Callable[[], torch.Tensor]
_MOMENTS = 8  # bytes of Adam's two moments of a parameter, float32
_MASTER = 4  # bytes of the float32 copy that it also needs where the parameter itself is coarser


@dataclass(frozen=True)
class Footprint:
    """One step: forward and backward pass.

    `parameters`, `trainable`: numbers of them. `weight_bytes`: of all modules. `optimiser_bytes`: Adam's moments, and
    float32 copies of trainable weights that are coarser. `saved_bytes`: of tensors that the forward pass leaves for the
    backward pass, beside weights. `peak_bytes`: the most that is alive at once in weights, inputs, activations and
    gradients. `forward_flops`, `flops`: of the forward pass and of both, 2 for a multiply-add, of matrix products,
    convolutions and attention.
    """

    parameters: int
    trainable: int
    weight_bytes: int
    optimiser_bytes: int
    saved_bytes: int
    peak_bytes: int
    forward_flops: int
    flops: int

    @property
    def total_bytes(self) -> int:
        """What a device must hold; beside it are the workspaces of kernels and what the allocator leaves unused."""
        return self.peak_bytes + self.optimiser_bytes

    def seconds(self, flops_per_second: float) -> float:
        """Time of the step at a sustained rate."""
        return self.flops / flops_per_second


@contextmanager
def imagined() -> Iterator[None]:
    """Tensors that are made inside have no data. They behave as on a CPU, where attention is fused as on a GPU."""
    with FakeTensorMode():
        yield


def measure_step(modules: Sequence[nn.Module], loss: Loss) -> Footprint:
    """Count a step: `loss` runs the forward pass through `modules`, all of whose weights are there throughout.

    It runs twice, as counting operations keeps tensors alive. Gradients are dropped before and after.
    """
    parameters = list(_unique(chain.from_iterable(module.parameters() for module in modules)))
    weights = [*parameters, *chain.from_iterable(module.buffers() for module in modules)]
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    forward_flops, flops = _count_flops(loss, parameters)
    saved, peak = _count_bytes(loss, parameters, weights)
    return Footprint(
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in trainable),
        weight_bytes=_bytes(weights),
        optimiser_bytes=sum(
            parameter.numel() * (_MOMENTS + (_MASTER if parameter.dtype != torch.float32 else 0))
            for parameter in trainable
        ),
        saved_bytes=saved,
        peak_bytes=peak,
        forward_flops=forward_flops,
        flops=flops,
    )


def _count_flops(loss: Loss, parameters: Sequence[nn.Parameter]) -> tuple[int, int]:
    """Operations of the forward pass, and of both passes."""
    _drop_gradients(parameters)
    with FlopCounterMode(display=False, custom_mapping=_ATTENTION) as counter:
        value = loss()
        forward = counter.get_total_flops()
        value.backward()
    _drop_gradients(parameters)
    return int(forward), int(counter.get_total_flops())


def _count_bytes(loss: Loss, parameters: Sequence[nn.Parameter], weights: Sequence[torch.Tensor]) -> tuple[int, int]:
    """Bytes that the forward pass saves, and the most that are alive at once."""
    _drop_gradients(parameters)
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    own = {weight.untyped_storage()._cdata for weight in weights}
    with _LiveBytes(weights) as live:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            value = loss()
        saved_bytes = sum(storage.nbytes() for key, storage in saved.items() if key not in own)
        saved.clear()
        value.backward()
    _drop_gradients(parameters)
    return saved_bytes, live.peak


class _LiveBytes(TorchDispatchMode):
    """Follows the storages that operations make until they are freed; `peak` is the most bytes there were at once."""

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.peak = 0
        self._live = 0
        self._sizes: dict[int, int] = {}
        for tensor in tensors:
            self._follow(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            if isinstance(value, torch.Tensor):
                self._follow(value)
        return result

    def _follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self._live += storage.nbytes()
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self._live -= self._sizes.pop(key)


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward_flops(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))


# The counter of torch knows the fused attention of GPUs, not that of CPUs, which computes the same.
_ATTENTION: dict[Any, Callable[..., int]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}


def _drop_gradients(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None


def _unique(parameters: Iterable[nn.Parameter]) -> Iterator[nn.Parameter]:
    return iter({id(parameter): parameter for parameter in parameters}.values())


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())
