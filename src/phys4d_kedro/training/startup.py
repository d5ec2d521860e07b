"""What a run says before its first step: how much it will do, and what it needs."""

from collections.abc import Iterable
from pathlib import Path

import torch

from phys4d_kedro.training import ranks
from phys4d_kedro.training.checkpoints import Modules, Tensors
from phys4d_kedro.training.config import LoopConfig


def describe_run(
    modules: Modules, averages: dict[str, Tensors], *, items: int, config: LoopConfig, device: torch.device
) -> str:
    """One paragraph: batch arithmetic, parameters, bytes of what training holds, and the device's free memory."""
    parameters = [parameter for module in modules.values() for parameter in module.parameters()]
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    buffers = [buffer for module in modules.values() for buffer in module.buffers()]
    processes, size = ranks.world_size(), config.batch_size // config.micro_batches
    free = _free_bytes(device)
    return (
        f"{processes} process(es) x {config.micro_batches // processes} micro-batch(es) x {size} = {config.batch_size} "
        f"items a step, {config.steps} steps = {config.steps * config.batch_size / items:.1f} epochs of {items} items; "
        f"{', '.join(modules)}: {_count(trainable):,} trainable parameters, {_count(parameters) - _count(trainable):,} "
        f"frozen; {_size(_bytes([*parameters, *buffers]))} of weights, {_size(_bytes(trainable))} of gradients, "
        f"{_size(2 * _bytes(trainable))} of optimiser moments, "
        f"{_size(_bytes(value for average in averages.values() for value in average.values()))} of averages; "
        f"on {device}" + (f", {_size(free)} of memory free" if free is not None else "")
    )


def _free_bytes(device: torch.device) -> int | None:
    """Of the GPU, or of main memory where the system says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _count(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _size(number: int) -> str:
    """With the unit that leaves the fewest digits before the point."""
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"
