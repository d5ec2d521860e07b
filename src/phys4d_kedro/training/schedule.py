"""What a step gets: its items, its noise and its learning rate, each from the seed and the number of the step alone."""

from collections.abc import Iterator

import numpy as np
import torch

from phys4d_kedro.training.config import LoopConfig


def step_generator(seed: int, step: int, micro_batch: int) -> torch.Generator:
    """The generator of one micro-batch; also seeds torch's global one, which dropout in library modules draws from."""
    state = int(np.random.SeedSequence([seed, step, micro_batch]).generate_state(1, np.uint64)[0] >> np.uint64(1))
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
