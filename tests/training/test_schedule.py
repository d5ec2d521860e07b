"""Data order, noise and learning rate of a step."""

import pytest
import torch

from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.schedule import batches, learning_rate, step_generator
from tests.training.tasks import CONFIG, ITEMS


def test_every_epoch_is_a_permutation_whatever_step_it_starts_from() -> None:
    whole = list(batches(ITEMS, CONFIG, 0))
    flat = [index for batch in whole for index in batch]
    assert sorted(flat[:10]) == list(range(10))
    assert sorted(flat[10:20]) == list(range(10))
    assert flat[:10] != flat[10:20]
    assert list(batches(ITEMS, CONFIG, 7)) == whole[7:]


def test_learning_rate_warms_up_holds_and_falls_to_nothing() -> None:
    config = LoopConfig(steps=100, batch_size=1, learning_rate=2.0, warmup_steps=10, decay_share=0.5, seed=0)
    assert learning_rate(0, config) == pytest.approx(0.2)
    assert learning_rate(9, config) == 2.0
    assert learning_rate(50, config) == 2.0
    assert learning_rate(75, config) == pytest.approx(1.0)
    assert learning_rate(99, config) == pytest.approx(2.0 / 50)


def test_every_micro_batch_has_noise_of_its_own_and_always_the_same() -> None:
    def draw(*key: int) -> tuple[float, float]:
        generator = step_generator(*key)
        return float(torch.rand((), generator=generator)), float(torch.rand(()))

    keys = [(seed, step, number) for seed in range(3) for step in range(3) for number in range(3)]
    drawn = [draw(*key) for key in keys]
    assert len(set(drawn)) == len(keys)
    assert [draw(*key) for key in keys] == drawn
