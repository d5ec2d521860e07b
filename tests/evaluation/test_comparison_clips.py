"""Worlds of all stages: from the same noise, by the right weights, the same wherever the run was cut."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.evaluation.comparison_clips import (
    comparison_source,
    list_trainings,
    shown_clips,
    worlds_beside,
)
from phys4d_kedro.world_model.config import SamplingConfig
from phys4d_kedro.world_model.generation import generate_worlds
from phys4d_kedro.world_model.requests import requests_like
from phys4d_kedro.world_model.world_model import WorldModel

SAMPLING = SamplingConfig(steps=2, guidance=1.0, batch_size=2)
NOISE_LEVEL = 0.1


def source(backbone: Path, stages: dict[str, Path], truths: ClipStore, samples: range = range(1)) -> ClipSource:
    trainings = list_trainings(stages)
    model = WorldModel.load(backbone, trainings[-1].folder, noise_level=NOISE_LEVEL)
    return comparison_source(model, trainings, truths, samples, SAMPLING)


@pytest.fixture(scope="module")
def truths(clips: ClipStore) -> ClipStore:
    return shown_clips(clips, 3)


@pytest.fixture(scope="module")
def worlds(random_backbone: Path, stages: dict[str, Path], truths: ClipStore) -> dict[str, Clip]:
    made = source(random_backbone, stages, truths)
    return {world.clip_id: world for world in map(made.make, range(len(made)))}


def test_every_training_makes_every_clip(worlds: dict[str, Clip], stages: dict[str, Path], truths: ClipStore) -> None:
    names = [f"{clip}.{stage}.seed{seed}.0" for stage in stages for seed in (0, 1) for clip in truths.ids]
    assert sorted(worlds) == sorted(names)
    world = worlds["sphere-0002.sft.seed1.0"]
    facts = {key: world.parameters[key] for key in ("reference", "sample", "stage", "training_seed")}
    assert facts == {"reference": "sphere-0002", "sample": 0, "stage": "sft", "training_seed": 1}


@pytest.mark.parametrize("training", ["stage1.seed1", "sft.seed0", "rl.seed1"])
def test_a_training_makes_what_it_makes_alone(
    worlds: dict[str, Clip], random_backbone: Path, stages: dict[str, Path], truths: ClipStore, training: str
) -> None:
    stage, _, seed = training.partition(".seed")
    model = WorldModel.load(random_backbone, stages[stage] / f"seed_{seed}", noise_level=NOISE_LEVEL)
    for alone in generate_worlds(model, requests_like(truths, [0])[:2], SAMPLING):
        world = worlds[f"{alone.parameters['reference']}.{training}.0"]
        assert world.seed == alone.seed
        for key, array in alone.arrays().items():
            np.testing.assert_array_equal(world.arrays()[key], array)


def test_heads_alone_differ_in_what_they_see_and_adapters_in_what_they_make(worlds: dict[str, Clip]) -> None:
    def same(one: str, other: str) -> tuple[bool, bool]:
        first, second = (worlds[f"sphere-0000.{name}.0"] for name in (one, other))
        return np.array_equal(first.rgb, second.rgb), np.array_equal(first.arrays()["depth"], second.arrays()["depth"])

    assert same("stage1.seed0", "stage1.seed1") == (True, False)
    assert same("sft.seed0", "sft.seed1") == (False, False)
    assert same("stage1.seed0", "rl.seed0") == (False, False)


def test_any_clip_can_be_made_first(
    worlds: dict[str, Clip], random_backbone: Path, stages: dict[str, Path], truths: ClipStore
) -> None:
    again = source(random_backbone, stages, truths)
    for index in (len(again) - 1, 7, 1, 12):
        world = again.make(index)
        assert world.content_hash() == worlds[world.clip_id].content_hash()


def test_the_source_is_another_when_weights_noise_or_clips_are(
    random_backbone: Path, stages: dict[str, Path], truths: ClipStore, clips: ClipStore, tmp_path: Path
) -> None:
    first = source(random_backbone, stages, truths)
    assert source(random_backbone, stages, truths).fingerprint == first.fingerprint
    changed = stages | {"rl": tmp_path / "rl"}
    shutil.copytree(stages["rl"], changed["rl"])
    shutil.copytree(stages["sft"] / "seed_1/lora", changed["rl"] / "seed_1/lora", dirs_exist_ok=True)
    others = [
        source(random_backbone, changed, truths),
        source(random_backbone, stages, truths, range(1, 2)),
        source(random_backbone, stages, clips),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert len(source(random_backbone, stages, truths, range(2))) == 2 * len(first)


def test_a_stage_without_trainings_is_named(stages: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no trained stage in"):
        list_trainings(stages | {"rl": tmp_path})


def test_worlds_are_found_beside_their_truth(worlds: dict[str, Clip], truths: ClipStore, tmp_path: Path) -> None:
    write_shards(worlds.values(), str(tmp_path), clips_per_shard=99)
    found = list(worlds_beside(truths, ClipStore(str(tmp_path))))
    assert [truth.clip_id for truth, _ in found] == truths.ids
    for truth, beside in found:
        assert {stage: world.clip_id for stage, world in beside.items()} == {
            stage: f"{truth.clip_id}.{stage}.seed0.0" for stage in ("stage1", "appearance_control", "sft", "rl")
        }
