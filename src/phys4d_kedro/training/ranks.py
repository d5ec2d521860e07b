"""The processes of one training: which one this is, and the sums and barriers they share. Alone, all of it is a no-op.

Works over any initialised `torch.distributed` group: gloo between CPU processes, NCCL between GPUs.
"""

from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor

BUCKET_ELEMENTS = 1 << 24
"""Gradients summed in one message: 64 MiB of float32, large enough to fill the link and small beside the weights."""


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if _initialized() else 0


def world_size() -> int:
    """Number of processes of this training."""
    return dist.get_world_size() if _initialized() else 1


def is_main() -> bool:
    """Whether this process is the one that writes files and shows progress."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process has come here."""
    if world_size() > 1:
        # NCCL has to be told the device, or it guesses one from the rank.
        dist.barrier(device_ids=[torch.cuda.current_device()] if dist.get_backend() == "nccl" else None)


def gather(value: object) -> list[object]:
    """The values of all processes in the order of their ranks, in every process. They must be picklable."""
    if world_size() == 1:
        return [value]
    values: list[object] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


@torch.no_grad()
def mean_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over the processes, summed in float32.

    A gradient that only some processes lack counts as zero there; one that all lack stays absent, as in one process.
    All processes pass the same parameters in the same order; afterwards they hold the same bytes.
    """
    if world_size() == 1:
        return
    kept = list(parameters)
    if not kept:
        return
    present = torch.tensor([p.grad is not None for p in kept], dtype=torch.float32, device=kept[0].device)
    dist.all_reduce(present)
    shared = [p for p, count in zip(kept, present.tolist(), strict=True) if count]
    for bucket in _buckets(shared):
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).float().reshape(-1) for p in bucket])
        dist.all_reduce(flat)
        flat /= world_size()
        for parameter, mean in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
            parameter.grad.copy_(mean.view_as(parameter))


def _buckets(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbouring parameters of one device, up to `BUCKET_ELEMENTS` together; a larger one is a bucket of its own."""
    bucket: list[Tensor] = []
    elements = 0
    for parameter in parameters:
        full = elements + parameter.numel() > BUCKET_ELEMENTS
        if bucket and (full or parameter.device != bucket[0].device):
            yield bucket
            bucket, elements = [], 0
        bucket.append(parameter)
        elements += parameter.numel()
    if bucket:
        yield bucket


def _initialized() -> bool:
    return dist.is_available() and dist.is_initialized()
