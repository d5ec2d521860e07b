"""Stage 3 as a task of the training loop: worlds are rolled out, judged, and their sampling steps made more or less
probable (Phys4D, simulation-grounded reinforcement learning; surrogate and advantages: `policy`).

Letters: G groups of M worlds of one condition, in batches of N worlds that divide M; S trained steps. An item of the
loop is one batch at one step. It goes through the model as the very batch that it was sampled in, so that ratios start
at 1 to the bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.evaluation.reward import judges_diverge
from phys4d_kedro.training import ranks
from phys4d_kedro.training.policy import clipped_surrogate, gae, group_advantages, kl_to_reference, whiten
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.task import Task
from phys4d_kedro.training.value import ValueHead, value_loss
from phys4d_kedro.world_model.backbones.base import Backbone, Condition
from phys4d_kedro.world_model.lora import lora_layers, without_lora
from phys4d_kedro.world_model.rollout import Rollout, RolloutStep, replay, rollout
from phys4d_kedro.world_model.sampling import sample

Item = TypeVar("Item")
Result = TypeVar("Result")
Row = dict[str, float]


class Events(Protocol):
    """Clips as conditions: what happens after their first frame is to be generated, and judged by what truly did."""

    def __len__(self) -> int: ...

    def condition(self, index: int) -> Condition:
        """First frame and prompt of a clip, a batch of one."""
        ...

    def size(self, index: int) -> dict[str, int]:
        """Its frames, height and width."""
        ...

    def can_be_judged(self, index: int) -> bool:
        """Whether anything in it moves that a world can be judged by."""
        ...

    def judge(
        self, indices: Sequence[int], seeds: Sequence[int], latents: torch.Tensor, condition: Condition
    ) -> list[Row]:
        """Figures of worlds (B), each of a clip and made from a seed: `reward` is what is to rise."""
        ...

    def describe(self, index: int) -> str:
        """The id of a clip."""
        ...


@dataclass(frozen=True)
class Sampled:
    """N worlds of one condition, on the CPU: how they were sampled, and how they are judged.

    `condition` and `away`: of one world, as all have the same.
    """

    event: int
    condition: Condition
    away: Condition | None
    steps: tuple[RolloutStep, ...]
    figures: list[Row]


class RlTask(Task):
    """The clipped surrogate over the sampling steps of judged worlds, and the value function where there is one.

    Raises:
        InvalidClipError: no validation clip can be judged.
    """

    monitored = "validation_distance"

    def __init__(
        self, backbone: Backbone, config: RlConfig, train: Events, validation: Events, value: ValueHead | None = None
    ) -> None:
        self.modules: dict[str, torch.nn.Module] = {"lora": lora_layers(backbone.transformer)}
        if value is not None:
            self.modules["value"] = value.to(backbone.device)
        self.backbone = backbone
        self.config = config
        self.train = train
        self.validation = validation
        self.value = value
        self._batches: list[Sampled] = []
        self._advantages = torch.empty(0)  # (S, batches, N)
        self._returns: torch.Tensor | None = None  # the same, what the value function learns
        self._figures: Row = {}
        self._validated = [i for i in range(len(validation)) if validation.can_be_judged(i)]
        if not self._validated:
            raise InvalidClipError(
                "no validation clip shows anything that moves, so that no world can be judged: simulate more, or raise "
                "rl.validation.clips"
            )

    def before_step(self, step: int) -> Row:
        """Roll out new worlds where an iteration begins."""
        iteration, update = divmod(step, self.config.updates)
        if update == 0:
            self._roll_out(iteration)
        return self._figures

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, Row]:
        """Of one item; there is no noise in it."""
        (index,) = indices
        number, step = divmod(index, self.config.trained_steps)
        config, device, batch = self.config, self.backbone.device, self._batches[number]
        taken, members = batch.steps[step], [0] * len(batch.figures)
        condition = batch.condition.rows(members).to(device)
        again: dict[str, Any] = {
            "latents": taken.latents.to(device),
            "next_latents": taken.next_latents.to(device),
            "level": taken.level,  # where the rollout had it: other devices round otherwise
            "next_level": taken.next_level,
            "noise": config.noise,
            "guidance": config.guidance,
            "away": batch.away and batch.away.rows(members).to(device),
        }
        log_prob, now, seen = replay(self.backbone, condition, **again, features=self.value is not None)
        with torch.autocast(device.type, enabled=False):
            advantages = self._advantages[step, number].to(device)
            loss, figures = clipped_surrogate(log_prob, taken.log_prob.to(device), advantages, config.clip_range)
            if config.kl_weight:
                with torch.no_grad(), without_lora(self.backbone):
                    reference = replay(self.backbone, condition, **again)[1].mean
                kl = kl_to_reference(now, reference).mean()
                loss, figures["kl"] = loss + config.kl_weight * kl, float(kl.detach())
            if self.value is not None and self._returns is not None:
                error = value_loss(self.value(seen, taken.level), self._returns[step, number].to(device))
                loss, figures["value_loss"] = loss + config.value.weight * error, float(error.detach())
        return loss, figures

    def stop_reason(self, validations: list[Row]) -> str | None:
        """The two judges have parted: what is optimised is no longer what was meant."""
        judged, independent = ([row[key] for row in validations] for key in ("reward", "independent"))
        if judges_diverge(judged, independent, self.config.reward.divergence):
            return "the judged reward rises while the independent judge's falls"
        return None

    def describe(self, indices: list[int]) -> list[str]:
        names = []
        for number, step in (divmod(index, self.config.trained_steps) for index in indices):
            names.append(f"{self.train.describe(self._batches[number].event)}, sampling step {step}")
        return names

    @torch.no_grad()
    def validate(self) -> Row:
        """Means over worlds sampled without noise on the way; `validation_distance` is minus the mean reward."""
        config = self.config.validation
        worlds = [(event, number) for event in self._validated for number in range(config.samples)]
        size = config.sampling.batch_size
        batches = [worlds[start : start + size] for start in range(0, len(worlds), size)]
        means = _means([row for rows in _share(batches, self._validation_worlds) for row in rows])
        return {"validation_distance": -means["reward"], **means}

    def _validation_worlds(self, batch: Sequence[tuple[int, int]]) -> list[Row]:
        config = self.config.validation.sampling
        events, seeds = [event for event, _ in batch], [seed_of(self.validation, *world) for world in batch]
        condition = Condition.stack([self.validation.condition(event) for event in events]).to(self.backbone.device)
        self.backbone.transformer.eval()
        latents = sample(
            self.backbone,
            condition,
            **self.validation.size(events[0]),
            steps=config.steps,
            guidance=config.guidance,
            negative=config.negative_prompt,
            seeds=seeds,
        )
        return self.validation.judge(events, seeds, latents, condition)

    @torch.no_grad()
    def _roll_out(self, iteration: int) -> None:
        """Sample and judge the worlds of an iteration; each process does its share, and all get all."""
        config = self.config
        parts = [range(first, first + config.worlds_at_once) for first in range(0, config.group, config.worlds_at_once)]
        shares = [(event, part) for event in self._choose(iteration) for part in parts]
        self._batches = _share(shares, lambda share: self._sample(iteration, *share))
        rows = [row for batch in self._batches for row in batch.figures]
        rewards = torch.tensor([row["reward"] for row in rows])
        groups = rewards.view(config.conditions, config.group)
        of_groups = group_advantages(groups)
        shape = (config.trained_steps, len(self._batches), config.worlds_at_once)
        if self.value is None:
            self._advantages = of_groups.advantages.view(shape[1:]).expand(shape)
        else:
            values = [torch.stack([cast(torch.Tensor, step.value) for step in batch.steps]) for batch in self._batches]
            advantages, returns = gae(torch.cat(values, 1), rewards, gae_lambda=config.value.gae_lambda)
            self._advantages, self._returns = whiten(advantages).view(shape), returns.view(shape)
        self._figures = _means(rows) | {
            "reward_spread": _mean([_spread(group) for group in groups.tolist()]),
            "silent_groups": of_groups.silent_share,
            "unjudged_worlds": of_groups.invalid_share,
        }

    def _choose(self, iteration: int) -> list[int]:
        """Clips of an iteration, drawn without replacement from those that can be judged."""
        order = np.random.default_rng([self.config.loop.seed, iteration]).permutation(len(self.train))
        chosen: list[int] = []
        for index in map(int, order):
            if self.train.can_be_judged(index):
                chosen.append(index)
            if len(chosen) == self.config.conditions:
                return chosen
        raise InvalidClipError(
            f"only {len(chosen)} training clips show anything that moves, fewer than rl.conditions "
            f"({self.config.conditions}): simulate more, or lower it"
        )

    def _sample(self, iteration: int, event: int, members: Sequence[int]) -> Sampled:
        """Some members of a group: all from one noise, so that they differ only by what the policy drew."""
        config = self.config
        start = seed_of(self.train, event, config.loop.seed, iteration)
        seeds = [seed_of(self.train, event, config.loop.seed, iteration, member) for member in members]
        condition = self.train.condition(event).rows([0] * len(members)).to(self.backbone.device)
        run = rollout(
            self.backbone,
            condition,
            **self.train.size(event),
            steps=config.steps,
            guidance=config.guidance,
            negative=config.negative_prompt,
            noise=config.noise,
            stochastic=range(config.trained_steps),
            starts=[start] * len(members),
            seeds=seeds,
            value=self.value,
        )
        figures = self.train.judge([event] * len(members), seeds, run.latents, condition)
        away = run.away and run.away.rows([0]).to("cpu")
        return Sampled(event, condition.rows([0]).to("cpu"), away, _on_cpu(run), figures)


def seed_of(events: Events, index: int, *numbers: int) -> int:
    """The seed of a world, by the clip it is of and by numbers that say which of many."""
    name = events.describe(index).encode()
    return int(np.random.default_rng([*numbers, *name]).integers(2**31))


def _share(items: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
    """`work` of all items, in their order, in every process; each process does every so many of them."""
    size = ranks.world_size()
    own = [work(item) for item in items[ranks.rank() :: size]]
    of_ranks = cast(list[list[Result]], ranks.gather(own))
    return [of_ranks[number % size][number // size] for number in range(len(items))]


def _on_cpu(run: Rollout) -> tuple[RolloutStep, ...]:
    """The steps of a rollout, which are one chain, off the device: processes exchange them, and there are many."""
    states = [state.cpu() for state in (run.steps[0].latents, *(step.next_latents for step in run.steps))]
    return tuple(
        replace(
            step,
            latents=states[number],
            next_latents=states[number + 1],
            log_prob=step.log_prob.cpu(),
            value=None if step.value is None else step.value.cpu(),
        )
        for number, step in enumerate(run.steps)
    )


def _means(rows: Sequence[Row]) -> Row:
    return {key: _mean([row[key] for row in rows]) for key in rows[0]}


def _mean(values: Sequence[float]) -> float:
    """Of those that are finite; NaN where none is."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def _spread(values: Sequence[float]) -> float:
    """Standard deviation of those that are finite; NaN where fewer than two are."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.std(finite)) if len(finite) > 1 else float("nan")
