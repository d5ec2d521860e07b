"""Stage 3 on a tiny backbone and toy worlds whose reward is a known function of their latents."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from pydantic import ValidationError

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.training.loop import FitResult, fit
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.rl_task import Events, RlTask, seed_of
from phys4d_kedro.training.value import ValueHead
from phys4d_kedro.world_model.backbones.base import Backbone, Condition
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import write_with_component
from phys4d_kedro.world_model.lora import add_lora, lora_state, without_lora
from tests.world_model.families import randomise
from tests.world_model.gaussian_backbone import EvenLevels, GaussianBackbone, contexts
from tests.world_model.lora_cases import move

SIZE = {"frames": 5, "height": 32, "width": 32}
LOOP = {
    "micro_batch_size": 1,
    "learning_rate": 0.002,
    "decay_share": 0.0,
    "log_every": 1,
    "trackers": (),
    "seed": 0,
}
SAMPLING = {"steps": 4, "guidance": 1.0, "batch_size": 3}


@dataclass
class ToyEvents:
    """Clips without pixels; a world's reward is minus the squared distance of its mean latent to a goal.

    `rewards`, if given, takes the place of the reward, by the number of the judging call and the world in it.
    """

    backbone: Backbone
    count: int = 3
    goal: float = 1.0
    movable: Callable[[int], bool] = lambda _index: True
    rewards: Callable[[int, int], float] | None = None
    seeds: list[int] = field(default_factory=list)
    calls: int = 0

    def __len__(self) -> int:
        return self.count

    def condition(self, index: int) -> Condition:
        frame = torch.full((1, 1, SIZE["height"], SIZE["width"], 3), 20 * index, dtype=torch.uint8)
        return self.backbone.encode_condition([f"world {index}"], frame, frames=SIZE["frames"])

    def size(self, index: int) -> dict[str, int]:
        return SIZE

    def can_be_judged(self, index: int) -> bool:
        return self.movable(index)

    def judge(
        self, indices: Sequence[int], seeds: Sequence[int], latents: torch.Tensor, condition: Condition
    ) -> list[dict[str, float]]:
        assert latents.shape[0] == len(indices) == len(seeds) == len(condition.text)
        self.seeds += seeds
        rows = []
        for world, mean in enumerate(latents[:, :, 1:].mean((1, 2, 3, 4)).tolist()):
            reward = self.rewards(self.calls, world) if self.rewards else -((mean - self.goal) ** 2)
            rows.append({"reward": reward, "independent": mean})
        self.calls += 1
        return rows

    def describe(self, index: int) -> str:
        return f"toy-{index:04d}"


def config(*, loop: dict[str, Any] | None = None, **changes: Any) -> RlConfig:
    """Two optimiser steps for every pass over the worlds of an iteration, and a checkpoint after it."""
    settings: dict[str, Any] = {
        "repeats": 1,
        "lora": {"rank": 4, "alpha": 8},
        "iterations": 4,
        "conditions": 2,
        "group": 4,
        "worlds_at_once": 4,
        "steps": 5,
        "trained_steps": 4,
        "noise": {"kind": "preserving", "eta": 0.6},
        "guidance": 1.0,
        "reward": {"divergence": {"window": 3, "tolerance": 0.1}},
        "advantage": "group",
        "value": {"width": 16, "weight": 0.5, "gae_lambda": 0.95},
        "clip_range": 0.05,
        "kl_weight": 0.0,
        "passes": 1,
        "noise_level": 0.1,
        "validation": {"clips": 3, "samples": 2, "sampling": SAMPLING},
        "checkpoint_dir": "unused",
        "base_model": "nano_wan",
    }
    settings |= changes
    items = settings["conditions"] * (settings["group"] // settings["worlds_at_once"]) * settings["trained_steps"]
    updates = 2 * settings["passes"]
    sizes = {"batch_size": items // 2, "steps": settings["iterations"] * updates, "checkpoint_every": updates}
    return RlConfig(**settings, loop={**LOOP, **sizes, **(loop or {})})


@pytest.fixture(scope="module")
def folder(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone whose output depends on its insides, as a trained one's does."""
    transformer = WanBackbone(tiny_backbone).transformer
    randomise(transformer.proj_out)
    made = tmp_path_factory.mktemp("rl") / "backbone"
    write_with_component(tiny_backbone, "transformer", transformer, made)
    return made


def task(folder: Path, settings: RlConfig, *, dtype: str = "fp32", moved: bool = False, **toy: Any) -> RlTask:
    """With a new adapter, or one that does something."""
    backbone = WanBackbone(folder, LoadingConfig(dtype=dtype, device="cpu"))
    add_lora(backbone, settings.lora, seed=settings.loop.seed)
    if moved:
        move(backbone.transformer)
    value = None
    if settings.advantage == "value":
        torch.manual_seed(settings.loop.seed)
        value = ValueHead(feature_dim=backbone.feature_dim, hidden_dim=settings.value.width)
    return RlTask(backbone, settings, ToyEvents(backbone, **toy), ToyEvents(backbone), value)


class Doubled(torch.nn.Module):
    """Means (B,) of clean latents: weight context; a policy with a single weight, and an adapter of it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.mean = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(self.mean.weight, -0.5)
        torch.manual_seed(seed)
        adapter = LoraConfig(r=4, lora_alpha=4, target_modules=["mean"])
        inject_adapter_in_model(adapter, self)
        self.peft_config = {"default": adapter}

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        return self.mean(context[:, None])[:, 0]


class Gaussian(GaussianBackbone):
    """With the deterministic sampler, which validation takes."""

    feature_dim = 4

    def __init__(self, seed: int) -> None:
        super().__init__(bias=0.0, std=0.05)
        self.transformer = Doubled(seed)

    def stepper(self, steps: int, **_: Any) -> Any:
        return Straight(steps)


class Straight(EvenLevels):
    """Euler's steps of rectified flow."""

    def step(self, clean: torch.Tensor, index: int, latents: torch.Tensor) -> torch.Tensor:
        level, after = self.levels[index], self.next_levels[index]
        return (1 - after) * clean + after * (latents - (1 - level) * clean) / level


class GaussianEvents(ToyEvents):
    """Clips are contexts of -1 and 1, in turn; a world is a number, and is to be 1.5 times its context."""

    def condition(self, index: int) -> Condition:
        return contexts([1.0 if index % 2 else -1.0])

    def size(self, index: int) -> dict[str, int]:
        return {"frames": 1, "height": 1, "width": 1}

    def judge(
        self, indices: Sequence[int], seeds: Sequence[int], latents: torch.Tensor, condition: Condition
    ) -> list[dict[str, float]]:
        errors = latents.flatten() - 1.5 * condition.text.flatten()
        return [{"reward": -(error**2), "independent": 0.0} for error in errors.tolist()]


def gaussian_task(settings: RlConfig) -> RlTask:
    seed = settings.loop.seed
    backbone: Any = Gaussian(seed)
    value = ValueHead(feature_dim=backbone.feature_dim, hidden_dim=16) if settings.advantage == "value" else None
    return RlTask(backbone, settings, GaussianEvents(backbone, 6), GaussianEvents(backbone, 4), value)


def train(made: RlTask, workdir: Path) -> FitResult:
    settings = made.config
    return fit(
        made, items=settings.items, config=settings.loop, workdir=workdir, fingerprint="f" * 64, description="test"
    )


def losses(made: RlTask) -> list[tuple[torch.Tensor, dict[str, float]]]:
    """Of all items, before any update."""
    return [made.loss([index], torch.Generator()) for index in range(made.config.items)]


class TestRatio:
    @pytest.mark.parametrize("dtype", ["fp32", "bf16"])
    @pytest.mark.parametrize("guidance", [1.0, 3.0])
    @pytest.mark.parametrize("advantage", ["group", "value"])
    def test_is_exactly_1_before_the_first_update(
        self, folder: Path, dtype: str, guidance: float, advantage: str
    ) -> None:
        """A ratio that is not 1 is beyond a clip range that float32 cannot tell from 0."""
        settings = config(
            guidance=guidance, advantage=advantage, worlds_at_once=2, clip_range=1e-12, negative_prompt="x"
        )
        made = task(folder, settings, dtype=dtype, moved=True)
        made.before_step(0)
        assert len(losses(made)) == 16
        for autocast in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                for _, figures in losses(made):
                    assert (figures["clip_share"], figures["ratio_mean"], figures["approx_kl"]) == (0, 1, 0)

    def test_is_another_after_an_update(self, folder: Path) -> None:
        made = task(folder, config(clip_range=1e-12), moved=True)
        made.before_step(0)
        move(made.backbone.transformer, seed=2)
        assert all(figures["clip_share"] == 1 for _, figures in losses(made))

    def test_is_exactly_1_at_the_first_step_of_every_iteration(self, folder: Path, tmp_path: Path) -> None:
        settings = config(clip_range=1e-12)
        history = train(task(folder, settings), tmp_path).history
        assert settings.updates == 2
        assert (history["clip_share"][0::2] == 0).all()
        assert (history["clip_share"][1::2] > 0).all()


class TestLearning:
    @pytest.mark.parametrize("advantage", ["group", "value"])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_brings_a_toy_near_its_optimum(self, tmp_path: Path, advantage: str, seed: int) -> None:
        settings = config(
            advantage=advantage,
            iterations=40,
            conditions=4,
            group=12,
            worlds_at_once=12,
            steps=6,
            clip_range=0.2,
            loop={"learning_rate": 0.05, "seed": seed, "validate_every": 80},
        )
        made = gaussian_task(settings)
        before = made.validate()["reward"]
        result = train(made, tmp_path)
        after = made.validate()["reward"]
        assert before < -1
        assert after > 0.05 * before
        assert after == result.validations["reward"].iloc[-1] == -result.validations["validation_distance"].iloc[-1]
        assert result.history["reward"].iloc[-10:].mean() > 0.3 * result.history["reward"].iloc[0]
        if advantage == "value":
            assert result.history["value_loss"].iloc[-10:].mean() < 0.3 * result.history["value_loss"].iloc[0]

    def test_a_divergence_from_the_reference_holds_it_back(self, folder: Path, tmp_path: Path) -> None:
        def moved_by(kl_weight: float) -> float:
            settings = config(kl_weight=kl_weight, loop={"learning_rate": 0.01})
            made = task(folder, settings)
            train(made, tmp_path / str(kl_weight))
            return drift(made)

        free, held = moved_by(0.0), moved_by(100.0)
        assert held < 0.3 * free

    def test_the_reference_is_the_model_without_the_adapter(self, folder: Path) -> None:
        for moved in (False, True):
            made = task(folder, config(kl_weight=1.0), moved=moved)
            made.before_step(0)
            found = [figures["kl"] for _, figures in losses(made)]
            assert all(value > 1e-6 for value in found) if moved else found == [0.0] * len(found)


def drift(made: RlTask) -> float:
    """How far the adapter takes the transformer's output."""
    events = made.validation
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, *made.backbone.latent_shape(**SIZE), generator=generator)
    with torch.no_grad():
        adapted = made.backbone.predict(noisy, torch.tensor([0.7]), events.condition(0)).output
        with without_lora(made.backbone):
            base = made.backbone.predict(noisy, torch.tensor([0.7]), events.condition(0)).output
    return float((adapted - base).square().mean())


class TestWorlds:
    def test_a_group_in_parts_is_the_same_group(self, folder: Path) -> None:
        """Same worlds, rewards and advantages, and the same mean of losses and gradients."""
        found = []
        for worlds in (4, 2):
            made = task(folder, config(worlds_at_once=worlds, kl_weight=0.1), moved=True)
            figures = made.before_step(0)
            mean = torch.stack([loss for loss, _ in losses(made)]).mean()
            mean.backward()
            gradients = torch.cat([p.grad.flatten() for p in made.modules["lora"].parameters() if p.grad is not None])
            found.append((sorted(made.train.seeds), figures, made._advantages.flatten(1), mean.detach(), gradients))
        whole, parts = found
        assert whole[0] == parts[0]
        assert whole[1] == pytest.approx(parts[1], rel=1e-4)
        assert torch.allclose(whole[2], parts[2], atol=1e-3)
        assert torch.allclose(whole[3], parts[3], atol=1e-4)
        assert torch.allclose(whole[4], parts[4], atol=1e-3 * float(whole[4].abs().max()))

    def test_a_group_starts_from_one_noise_and_each_iteration_from_another(self, folder: Path) -> None:
        made = task(folder, config(worlds_at_once=2))
        starts = []
        for step in (0, 2):
            made.before_step(step)
            of_groups = torch.cat([batch.steps[0].latents for batch in made._batches]).unflatten(0, (-1, 4))
            assert torch.equal(of_groups, of_groups[:, :1].expand_as(of_groups))
            starts += [*of_groups[:, 0]]
            after = torch.cat([batch.steps[0].next_latents for batch in made._batches])
            assert len({tuple(own.flatten().tolist()) for own in after}) == len(after)
        assert len({tuple(own.flatten().tolist()) for own in starts}) == len(starts)

    def test_each_has_a_seed_of_its_own_that_says_nothing_of_its_place(self, folder: Path) -> None:
        made = task(folder, config(), count=5)
        for step in range(0, 8, 2):
            made.before_step(step)
        assert len(set(made.train.seeds)) == len(made.train.seeds) == 4 * 2 * 4
        again = task(folder, config(), count=5)
        again.before_step(6)
        assert again.train.seeds == made.train.seeds[-8:]
        other = task(folder, config(loop={"seed": 1}), count=5)
        other.before_step(0)
        assert not set(other.train.seeds) & set(made.train.seeds)
        names = {seed_of(made.train, index, *numbers) for index in range(5) for numbers in ((0, 1), (1, 0), (0,), (1,))}
        assert len(names) == 20

    def test_validation_repeats_itself_whatever_is_trained(self, folder: Path) -> None:
        made = task(folder, config())
        first = made.validate()
        assert made.validate() == first
        move(made.backbone.transformer)
        changed = made.validate()
        assert changed["reward"] != first["reward"]
        assert len(made.validation.seeds) == 3 * 6
        assert made.validation.seeds[:6] == made.validation.seeds[-6:]
        assert changed["validation_distance"] == -changed["reward"]

    def test_clips_are_drawn_anew_in_every_iteration_among_those_that_can_be_judged(self, folder: Path) -> None:
        made = task(folder, config(), count=12, movable=lambda index: index % 2 == 0)
        drawn = []
        for step in range(0, 8, 2):
            made.before_step(step)
            names = {made.describe([index])[0].partition(",")[0] for index in range(made.config.items)}
            assert len(names) == 2
            assert all(int(name.removeprefix("toy-")) % 2 == 0 for name in names)
            drawn.append(names)
        assert len(set().union(*drawn)) > 2
        assert made.describe([made.config.items - 1])[0].endswith("sampling step 3")

    def test_worlds_are_kept_within_an_iteration(self, folder: Path) -> None:
        made = task(folder, config())
        first = made.before_step(0)
        assert made.before_step(1) == first
        assert made.train.calls == 2
        assert made.before_step(2) != first
        assert made.train.calls == 4


class TestBadRewards:
    def test_equal_ones_teach_nothing_and_are_counted(self, folder: Path) -> None:
        made = task(folder, config(), rewards=lambda call, world: -0.5 if call == 0 else float(world))
        figures = made.before_step(0)
        assert (figures["silent_groups"], figures["unjudged_worlds"]) == (0.5, 0)
        assert figures["reward_spread"] == pytest.approx(1.25**0.5 / 2)
        silent, telling = losses(made)[:4], losses(made)[4:]
        for loss, _ in silent:
            loss.backward()
        assert all(p.grad is None or not p.grad.any() for p in made.modules["lora"].parameters())
        for loss, _ in telling:
            loss.backward()
        assert any(p.grad is not None and p.grad.any() for p in made.modules["lora"].parameters())

    @pytest.mark.parametrize("advantage", ["group", "value"])
    def test_those_that_are_not_finite_are_left_out(self, folder: Path, tmp_path: Path, advantage: str) -> None:
        settings = config(advantage=advantage)
        made = task(folder, settings, rewards=lambda call, world: math.nan if call % 2 == 0 or world == 0 else world)
        figures = made.before_step(0)
        assert figures["unjudged_worlds"] == pytest.approx(5 / 8)
        assert figures["reward"] == 2
        assert not made._advantages[:, 0].any()
        assert made._advantages[:, 1].any()
        history = train(made, tmp_path).history
        assert torch.isfinite(torch.tensor(history["loss"].to_numpy())).all()
        assert all(torch.isfinite(value).all() for value in lora_state(made.backbone.transformer).values())

    def test_no_finite_one_changes_nothing(self, folder: Path, tmp_path: Path) -> None:
        made = task(folder, config(), rewards=lambda call, world: math.nan)
        start = {key: value.clone() for key, value in lora_state(made.backbone.transformer).items()}
        history = train(made, tmp_path).history
        assert (history["unjudged_worlds"] == 1).all()
        assert (history["silent_groups"] == 1).all()
        assert history["reward"].isna().all()
        assert all(torch.equal(start[key], value) for key, value in lora_state(made.backbone.transformer).items())


@pytest.mark.parametrize("advantage", ["group", "value"])
def test_a_cut_training_ends_in_the_same_bytes(folder: Path, tmp_path: Path, advantage: str) -> None:
    settings = config(advantage=advantage, passes=2, loop={"ema": 0.9})

    class Cut(RlTask):
        calls = 0

        def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
            self.calls += 1
            if self.calls == 26:  # in the third update of the second iteration
                raise KeyboardInterrupt
            return super().loss(indices, generator)

    whole, cut, resumed = (task(folder, settings) for _ in range(3))
    history = train(whole, tmp_path / "whole").history
    cut.__class__ = Cut
    with pytest.raises(KeyboardInterrupt):
        train(cut, tmp_path / "cut")
    result = train(resumed, tmp_path / "cut")
    assert result.resumed_from == 4
    assert result.history.equals(history)
    for name, module in whole.modules.items():
        other = resumed.modules[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in module.state_dict().items())


def test_judges_that_part_end_training(folder: Path) -> None:
    made = task(folder, config())
    rows = [{"step": n, "reward": 0.1 * n, "independent": -0.1 * n} for n in range(3)]
    assert "rises while" in str(made.stop_reason(rows))
    assert made.stop_reason(rows[:2]) is None
    assert made.stop_reason([row | {"independent": row["reward"]} for row in rows]) is None


def test_too_few_clips_that_move_are_named(folder: Path) -> None:
    made = task(folder, config(), movable=lambda index: index == 1)
    with pytest.raises(InvalidClipError, match=r"only 1 training clips .* rl\.conditions \(2\)"):
        made.before_step(0)
    still: Events = ToyEvents(made.backbone, movable=lambda index: False)
    with pytest.raises(InvalidClipError, match=r"no validation clip .*rl\.validation\.clips"):
        RlTask(made.backbone, made.config, made.train, still)


@pytest.mark.parametrize(
    ("changes", "loop", "message"),
    [
        ({"trained_steps": 5}, {}, r"trained_steps must be below steps \(5\)"),
        ({"noise": {"kind": "ddim", "eta": 0}}, {}, r"noise\.eta must be above 0"),
        ({"worlds_at_once": 3}, {}, r"worlds_at_once \(3\) must divide group \(4\)"),
        ({"lora": {"rank": 4, "alpha": 4, "dropout": 0.1}}, {}, r"lora\.dropout must be 0"),
        ({}, {"batch_size": 3}, r"loop\.batch_size \(3\) must divide .* = 8"),
        ({}, {"micro_batch_size": None}, r"loop\.micro_batch_size must be 1"),
        ({}, {"precision": "bf16"}, r"loop\.precision must be fp32"),
        ({}, {"steps": 7}, r"loop\.steps \(7\) must be iterations x optimiser steps of each = 4 x 2 = 8"),
        ({"passes": 2}, {"steps": 8}, r"= 4 x 4 = 16"),
        ({}, {"checkpoint_every": 3}, r"loop\.checkpoint_every \(3\) must be a multiple of 2"),
        ({}, {"validate_every": 1}, r"loop\.validate_every \(1\) must be a multiple of 2"),
        ({"base_model": "someone/model"}, {}, "base_licence"),
    ],
)
def test_settings_that_contradict_each_other_name_the_fix(
    changes: dict[str, Any], loop: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**changes, loop=loop)
