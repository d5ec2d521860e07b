"""Stage 3 on tiny clips: from stage 2's models to the folders of policies."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.training import rl
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.rl_events import ClipEvents
from phys4d_kedro.training.rl_task import RlTask
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import write_with_component
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.lora import add_lora, load_lora_state, merge_lora
from phys4d_kedro.world_model.lora_files import load_lora
from phys4d_kedro.world_model.world_model import WorldModel
from tests.evaluation.tiny_estimators import tiny_labels
from tests.factories import make_clip
from tests.training.test_rl_task import config as toy_config
from tests.training.test_sft import content_of
from tests.world_model.families import randomise
from tests.world_model.tiny_stages import write_stage

LOADING = LoadingConfig(device="cpu")


@dataclass(frozen=True)
class Scene:
    """What stage 3 reads. `sft` has models of seeds 0 and 1, and one of seed 2 without an adapter."""

    backbone: Path
    sft: Path
    cache: LatentCache
    train: ClipStore
    validation: ClipStore
    labels: PseudoLabelConfig


@pytest.fixture(scope="module")
def scene(calibrated_backbone: Path, clips: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("rl")
    transformer = WanBackbone(calibrated_backbone).transformer
    randomise(transformer.proj_out)
    write_with_component(calibrated_backbone, "transformer", transformer, folder / "backbone")
    for seed in range(3):
        adapter = seed if seed < 2 else None
        write_stage(folder / "backbone", folder / "sft" / f"seed_{seed}", heads=seed, adapter=adapter)
    write_shards([make_clip(20 + i) for i in range(3)], str(folder / "validation"), clips_per_shard=4)
    validation = ClipStore(str(folder / "validation"))
    cache = LatentCache(folder / "latents")
    for each in (clips, validation):
        cache.fill([each], WanBackbone(folder / "backbone"))
    return Scene(folder / "backbone", folder / "sft", cache, clips, validation, tiny_labels(folder / "depth_estimator"))


def config(checkpoints: Path, **changes: Any) -> RlConfig:
    """Two iterations, and a validation after each; the heads of the scene see next to nothing."""
    loop = {"validate_every": 2, "ema": 0.5} | changes.pop("loop", {})
    settings: dict[str, Any] = {"iterations": 2, "steps": 3, "trained_steps": 2, "group": 2, "worlds_at_once": 2}
    settings["reward"] = {"judge": "estimators"}
    return toy_config(**{**settings, "checkpoint_dir": str(checkpoints), **changes}, loop=loop)


def trained(scene: Scene, settings: RlConfig) -> tuple[Any, pd.DataFrame, pd.DataFrame]:
    return rl.train_rl(
        scene.backbone,
        scene.sft,
        settings,
        clips=scene.train,
        validation=scene.validation,
        cache=scene.cache,
        labels=scene.labels,
        loading=LOADING,
    )


def events(scene: Scene, model: WorldModel, settings: RlConfig) -> ClipEvents:
    latents = scene.cache.open([scene.train], model.backbone)
    return ClipEvents(scene.train, latents, model, settings.reward, scene.labels, seed=settings.loop.seed)


def predict(scene: Scene, backbone: Backbone) -> torch.Tensor:
    """The transformer's output for a clip of the training set."""
    found = scene.cache.open([scene.train], backbone)
    with torch.no_grad():
        return backbone.predict(found.latents([0]), torch.tensor([0.6]), found.conditions([0])).output


@pytest.fixture(scope="module")
def stage(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, pd.DataFrame, pd.DataFrame]:
    """A trained stage of two seeds: its folder, its writer, and its curves."""
    folder = tmp_path_factory.mktemp("stage")
    writer, history, validations = trained(scene, config(folder / "checkpoints", repeats=2))
    (folder / "models").mkdir()
    writer(folder / "models")
    return folder / "models", writer, history, validations


def test_heads_are_those_of_stage_2_byte_for_byte(scene: Scene, stage: Any) -> None:
    for seed in (0, 1):
        folder = stage[0] / f"seed_{seed}"
        assert {path.name for path in folder.iterdir()} == {"depth", "motion", "lora"}
        for name in ("depth", "motion"):
            assert content_of(folder / name) == content_of(scene.sft / f"seed_{seed}" / name)
    assert "kedro run --pipeline=rl" in (stage[0] / "seed_1" / "lora" / "README.md").read_text()


def test_its_one_adapter_on_the_original_base_is_the_policy(scene: Scene, stage: Any) -> None:
    """Which was an adapter on top of stage 2's, merged into the base."""
    folder, writer, _, _ = stage
    for seed, result in writer.args[0].items():
        policy = WanBackbone(scene.backbone, LOADING)
        load_lora(policy, scene.sft / f"seed_{seed}" / "lora")
        merge_lora(policy)
        start = predict(scene, policy)
        add_lora(policy, config(folder).lora, seed=seed)
        load_lora_state(policy.transformer, result.lora)
        wanted = predict(scene, policy)
        model = WorldModel.load(scene.backbone, folder / f"seed_{seed}", noise_level=0.1, loading=LOADING)
        found = predict(scene, model.backbone)
        assert float((wanted - start).abs().max()) > 1e-3
        assert torch.allclose(found, wanted, atol=1e-5)


def test_curves_have_both_judges_and_say_whose_they_are(stage: Any) -> None:
    _, _, history, validations = stage
    judged = {f"{term}_{judge}" for term in ("chamfer_4d", "chamfer_per_frame") for judge in ("heads", "estimators")}
    common = {"step", "stage", "seed", "reward", "independent", "motion_iou", "appearance"} | judged
    assert common | {"silent_groups", "unjudged_worlds", "reward_spread", "clip_share", "ratio_mean"} <= set(history)
    assert set(validations) == common | {"validation_distance"}
    for table in (history, validations):
        assert set(table["stage"]) == {"rl"}
        assert sorted(set(table["seed"])) == [0, 1]
        assert (table["reward"] == table["chamfer_4d_estimators"]).all()
        assert (table["independent"] == table["chamfer_4d_heads"]).all()
        assert not np.allclose(table["reward"], table["independent"])
    assert validations["step"].tolist() == [0, 2, 4] * 2
    assert (validations["validation_distance"] == -validations["reward"]).all()


def test_a_complete_training_is_not_taken_again(scene: Scene, stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, writer, history, _ = stage

    def refuse(*_: Any) -> None:
        raise AssertionError("a step was taken")

    monkeypatch.setattr(RlTask, "before_step", refuse)
    again, same_history, _ = trained(scene, config(folder.parent / "checkpoints", repeats=2))
    assert same_history.equals(history)
    for seed, result in writer.args[0].items():
        assert all(torch.equal(value, again.args[0][seed].lora[key]) for key, value in result.lora.items())


@pytest.mark.parametrize("advantage", ["group", "value"])
def test_a_cut_training_ends_in_the_same_bytes(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, advantage: str
) -> None:
    """Also where the value head's first weights, before any checkpoint, have to be the same again."""

    def run(name: str) -> dict[str, bytes]:
        writer, history, validations = trained(scene, config(tmp_path / name, advantage=advantage, guidance=2.0))
        writer(tmp_path / f"{name}_model")
        history.to_csv(tmp_path / f"{name}_model" / "history.csv")
        validations.to_csv(tmp_path / f"{name}_model" / "validations.csv")
        return content_of(tmp_path / f"{name}_model")

    whole = run("whole")
    original: Callable[..., Any] = RlTask.loss
    calls = 0

    def cut(self: RlTask, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (2, 8):  # before the first checkpoint, and in the second iteration
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(RlTask, "loss", cut)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run("cut")
    assert run("cut") == whole


def test_the_heads_can_be_the_judge_and_the_estimators_beside_them(scene: Scene, tmp_path: Path) -> None:
    history = trained(scene, config(tmp_path, iterations=1, reward={"judge": "heads"}))[1]
    assert (history["reward"] == history["chamfer_4d_heads"]).all()
    assert (history["independent"] == history["chamfer_4d_estimators"]).all()


class TestEvents:
    def test_worlds_are_read_with_noise_of_their_own(self, scene: Scene, tmp_path: Path) -> None:
        model = WorldModel.load(scene.backbone, scene.sft / "seed_0", noise_level=0.5, loading=LOADING)
        made = events(scene, model, config(tmp_path))
        found = scene.cache.open([scene.train], model.backbone)
        condition, latents = found.conditions([0, 0]), found.latents([0, 0])
        one, other = made.judge([0, 0], [1, 2], latents, condition)
        assert set(one) >= {"reward", "independent", "motion_iou", "appearance"}
        assert one["chamfer_4d_heads"] != other["chamfer_4d_heads"]
        assert one["chamfer_4d_estimators"] == other["chamfer_4d_estimators"]
        again = made.judge([0, 0], [3, 1], latents, condition)[1]
        assert again["chamfer_4d_heads"] == pytest.approx(one["chamfer_4d_heads"], rel=1e-3)

    def test_a_clip_without_motion_cannot_be_judged(self, scene: Scene, tmp_path: Path) -> None:
        clip = make_clip(0)
        still = clip.with_(tracks=np.repeat(clip.tracks[:1], clip.frames, 0))
        write_shards([still, make_clip(1)], str(tmp_path / "clips"), clips_per_shard=2)
        clips = ClipStore(str(tmp_path / "clips"))
        scene.cache.fill([clips], WanBackbone(scene.backbone))
        model = WorldModel.load(scene.backbone, scene.sft / "seed_0", noise_level=0.1, loading=LOADING)
        made = events(replace(scene, train=clips), model, config(tmp_path))
        assert [made.can_be_judged(index) for index in range(len(made))] == [False, True]
        with pytest.raises(InvalidClipError, match=r"only 1 training clips .*rl\.conditions"):
            trained(replace(scene, train=clips), config(tmp_path / "run"))


class TestStarts:
    def test_a_seed_without_a_model_is_named(self, scene: Scene, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"seeds 0, 1, 2, .* here 3,.*sft\.repeats.*rl\.repeats"):
            trained(scene, config(tmp_path, repeats=1, loop={"seed": 3}))
        assert not list(tmp_path.iterdir())  # before any work

    def test_a_model_without_an_adapter_is_none_of_stage_2(self, scene: Scene, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="here 2, with its adapter"):
            trained(scene, config(tmp_path, loop={"seed": 2}))

    def test_another_start_or_other_estimators_are_another_training(self, scene: Scene, tmp_path: Path) -> None:
        """So that no training goes on from checkpoints of another."""
        short = partial(config, tmp_path / "run", iterations=1)
        trained(scene, short())
        assert len(list((tmp_path / "run").iterdir())) == 1
        other = write_stage(scene.backbone, tmp_path / "sft" / "seed_0", heads=0, adapter=7)
        trained(replace(scene, sft=other.parent), short())
        weights = next(path for path in Path(scene.labels.depth.model).glob("*.safetensors"))
        kept = weights.read_bytes()
        save_file({key: value + 1e-3 for key, value in load_file(weights).items()}, weights, metadata={"format": "pt"})
        trained(scene, short())
        weights.write_bytes(kept)
        trained(scene, short(launch={"processes": 1, "restarts": 2}))  # decides nothing
        assert len(list((tmp_path / "run").iterdir())) == 3


@pytest.mark.slow
def test_two_processes_train_as_one_does(scene: Scene, tmp_path: Path) -> None:
    curves = []
    for processes in (1, 2):
        settings = config(tmp_path / str(processes), advantage="value", launch={"processes": processes})
        _, history, validations = trained(scene, settings)
        curves.append((history, validations))
    for one, two in zip(*curves, strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=False, rtol=1e-3, atol=1e-5)
