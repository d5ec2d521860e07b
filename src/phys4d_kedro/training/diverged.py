"""A training whose loss or gradient is no longer finite: what did it is kept, and can be played again.

<directory>/diverged_step_00000012/
    batch.json               step, seed, precision, norm of the gradient, and the micro-batches that did it
    <module>.safetensors     the weights that they met
"""

import json
import math
from pathlib import Path
from typing import NoReturn

import torch
from safetensors.torch import load_file

from phys4d_kedro.errors import Phys4DError
from phys4d_kedro.training import checkpoints, ranks
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.records import StepRecord
from phys4d_kedro.training.schedule import step_generator
from phys4d_kedro.training.task import Task


class TrainingDivergedError(Phys4DError, ArithmeticError):
    """The loss or its gradient stopped being finite; names the step, the items, and the folder to replay them from."""


def stop(task: Task, record: StepRecord, directory: Path, config: LoopConfig, description: str) -> NoReturn:
    """Keep a step that is not finite and raise TrainingDivergedError, in all processes; the first one writes."""
    culprits = [part for part in record.micro_batches if not math.isfinite(part.loss)]
    suspects = culprits or record.micro_batches
    described = [
        {
            "micro_batch": part.number,
            "indices": part.indices,
            "names": task.describe(part.indices),
            "loss": part.loss,
            "logs": part.logs,
        }
        for part in suspects
    ]
    document = {
        "step": record.step,
        "seed": config.seed,
        "precision": config.precision,
        "gradient_norm": record.gradient_norm,
        "figures_before": record.before,
        "micro_batches": described,
    }
    folder = directory / f"diverged_step_{record.step:08d}"
    if ranks.is_main():
        with checkpoints.written_whole(folder, f"step {record.step}, which diverged,") as partial:
            checkpoints.write_modules(partial, task.modules)
            (partial / "batch.json").write_text(json.dumps(document, indent=2))
    ranks.barrier()
    what = f"the loss is {suspects[0].loss}" if culprits else f"the gradient's norm is {record.gradient_norm}"
    raise TrainingDivergedError(
        f"{description}: {what} at step {record.step}, micro-batch {suspects[0].number} of items "
        f"{', '.join(task.describe(suspects[0].indices))}; weights and batch are in {folder}. Lower learning_rate "
        f"({config.learning_rate}) or look at these items. Checkpoints in {directory} are kept"
    )


def replay(folder: Path, task: Task) -> list[tuple[torch.Tensor, dict[str, float]]]:
    """Put a diverged step's weights into the task's modules, and compute its suspected losses and figures again.

    A task whose `before_step` makes what `loss` needs must have been brought there first.
    """
    document = json.loads((folder / "batch.json").read_text())
    for name, module in task.modules.items():
        module.load_state_dict(load_file(folder / f"{name}.safetensors"))
        module.train()
    device = next(parameter for module in task.modules.values() for parameter in module.parameters()).device
    losses = []
    for part in document["micro_batches"]:
        generator = step_generator(document["seed"], document["step"] - 1, part["micro_batch"])
        with torch.autocast(device.type, torch.bfloat16, enabled=document["precision"] == "bf16"):
            losses.append(task.loss(part["indices"], generator))
    return losses
