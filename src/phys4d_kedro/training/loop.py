"""The one training loop. All randomness of step n depends on the seed and n alone, so that a run cut anywhere and
resumed from its last checkpoint ends, on the same machine, in the same bytes as one that was never cut."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from tqdm import tqdm

from phys4d_kedro.errors import Phys4DError
from phys4d_kedro.training import checkpoints
from phys4d_kedro.training.checkpoints import Modules, Tensors, TrainingState
from phys4d_kedro.training.config import LoopConfig

logger = logging.getLogger(__name__)


class TrainingDivergedError(Phys4DError, ArithmeticError):
    """The loss stopped being finite; names the step and the items of the batch."""


class Task(Protocol):
    """What is trained: its trainable modules, by name, and the loss of a batch of items."""

    modules: Modules

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        """Scalar loss of the items, and figures to log. All noise comes from `generator`."""
        ...


@dataclass(frozen=True)
class FitResult:
    """`history` has a row every `log_every` steps: step, learning_rate, loss and the task's own figures."""

    steps: int
    history: pd.DataFrame
    resumed_from: int


def fit(task: Task, *, items: int, config: LoopConfig, workdir: Path, fingerprint: str, description: str) -> FitResult:
    """Train `task` for `config.steps` steps over `items` items, resuming from the newest checkpoint.

    Checkpoints lie in `workdir/<first 12 digits of fingerprint>`: a changed configuration starts anew beside the old
    run and loses nothing. Afterwards the modules hold the moving average of the weights, if `config.ema` > 0.

    Args:
        items: number of items of the data set; batches are drawn without replacement, epoch by epoch.
        fingerprint: hash of all that decides the result beside `config`: data, frozen weights, parameters.
        description: shown beside the progress bar.

    Raises:
        TrainingDivergedError: the loss is not finite.
        CheckpointError: a checkpoint in the folder is damaged.
        StorageFullError: the disk is full; what was saved before is kept.
    """
    directory = workdir / fingerprint[:12]
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    for module in task.modules.values():
        module.to(accelerator.device).train()
    parameters = [p for module in task.modules.values() for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.99), fused=True
    )
    averages = _start_averages(task.modules) if config.ema else {}
    history: list[dict[str, float]] = []
    pending: list[dict[str, float]] = []
    start = 0
    saved = checkpoints.list_checkpoints(directory)
    if saved:
        state = checkpoints.restore(
            saved[-1], modules=task.modules, averages=averages, optimizer=optimizer, fingerprint=fingerprint
        )
        start, history, pending = state.step, state.history, state.pending
        logger.info("%s: resuming after step %d of %d from %s", description, start, config.steps, saved[-1])
    logger.info(
        "%s: %d trainable parameters, %d items, %d steps of %d = %.1f epochs",
        description,
        sum(p.numel() for p in parameters),
        items,
        config.steps,
        config.batch_size,
        config.steps * config.batch_size / items,
    )

    def save(step: int) -> None:
        checkpoints.save(
            directory,
            modules=task.modules,
            averages=averages,
            optimizer=optimizer,
            state=TrainingState(step=step, history=history, pending=pending),
            fingerprint=fingerprint,
            keep=config.keep_checkpoints,
        )

    bar = tqdm(range(start, config.steps), initial=start, total=config.steps, desc=description, unit="step")
    for step, indices in zip(bar, batches(items, config, start), strict=False):
        generator = step_generator(config.seed, step)
        rate = learning_rate(step, config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            loss, logs = task.loss(indices, generator)
        if not torch.isfinite(loss):
            raise TrainingDivergedError(
                f"{description}: the loss is {float(loss.detach())} at step {step + 1}, items {indices}; lower "
                f"learning_rate ({config.learning_rate}) or look at these items. Checkpoints in {directory} are kept"
            )
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(parameters, config.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _update_averages(task.modules, averages, config.ema, step)
        done = step + 1
        pending.append({"loss": float(loss.detach()), **logs})
        if done % config.log_every == 0 or done == config.steps:
            means = {key: float(np.mean([row[key] for row in pending])) for key in pending[0]}
            history.append({"step": done, "learning_rate": rate, **means})
            pending.clear()
            bar.set_postfix({"loss": f"{means['loss']:.4g}"})
        if done % config.checkpoint_every == 0 or done == config.steps:
            save(done)
    for name, average in averages.items():
        task.modules[name].load_state_dict(average)
    for module in task.modules.values():
        module.eval()
    return FitResult(steps=config.steps, history=pd.DataFrame(history), resumed_from=start)


def step_generator(seed: int, step: int) -> torch.Generator:
    """The generator of one step; also seeds torch's global one, which dropout in library modules draws from."""
    state = int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
    torch.manual_seed(state)
    return torch.Generator().manual_seed(state)


def batches(items: int, config: LoopConfig, start: int) -> Iterator[list[int]]:
    """Indices of each step's batch from step `start` on: every epoch is a permutation of its own."""
    epoch, order = -1, np.empty(0, dtype=np.int64)
    for step in range(start, config.steps):
        batch = []
        for position in range(step * config.batch_size, (step + 1) * config.batch_size):
            if position // items != epoch:
                epoch = position // items
                order = np.random.default_rng([config.seed, epoch]).permutation(items)
            batch.append(int(order[position % items]))
        yield batch


def learning_rate(step: int, config: LoopConfig) -> float:
    """Linear warm-up, a plateau, and a linear fall to zero over the last `decay_share` of the steps."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    decay_steps = config.decay_share * config.steps
    decay = min(1.0, (config.steps - step) / decay_steps) if decay_steps else 1.0
    return config.learning_rate * warmup * decay


def _start_averages(modules: Modules) -> dict[str, Tensors]:
    return {
        name: {key: value.detach().clone() for key, value in module.state_dict().items()}
        for name, module in modules.items()
    }


@torch.no_grad()
def _update_averages(modules: Modules, averages: dict[str, Tensors], decay: float, step: int) -> None:
    """Exponential moving average; young averages forget faster, so that the initial weights do not linger."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for name, average in averages.items():
        current = modules[name].state_dict()
        floating = [key for key, value in average.items() if value.is_floating_point()]
        torch._foreach_lerp_([average[k] for k in floating], [current[k] for k in floating], weight)
