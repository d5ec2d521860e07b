"""Folders of stages: found by seed, with and without adapter; a model goes from one to another and back exactly."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.world_model.lora import has_lora
from phys4d_kedro.world_model.stage_folders import adapter_folder, seed_folders
from phys4d_kedro.world_model.world_model import WorldModel
from tests.factories import make_clip
from tests.world_model.tiny_stages import write_stage

NOISE_LEVEL = 0.2


@pytest.fixture(scope="module")
def stages(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("stages")
    return {
        name: write_stage(tiny_backbone, root / name, heads=0, adapter=adapter)
        for name, adapter in (("base", None), ("a", 1), ("b", 2))
    }


def perceived(model: WorldModel) -> tuple[np.ndarray, np.ndarray]:
    clip = model.perceive(make_clip(0), seed=0)
    assert clip.depth is not None
    assert clip.motion is not None
    return clip.depth, clip.motion


def equal(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_seeds_are_found_in_order_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("seed_10", "seed_2", "seed_x", "seeds_3"):
        (tmp_path / name).mkdir()
    assert list(seed_folders(tmp_path)) == [2, 10]
    assert seed_folders(tmp_path)[2] == tmp_path / "seed_2"
    with pytest.raises(CheckpointError, match=r"no trained stage in .*pipeline=pretrain"):
        seed_folders(tmp_path / "seed_2")


def test_a_stage_is_loaded_with_its_adapter(tiny_backbone: Path, stages: dict[str, Path]) -> None:
    assert adapter_folder(stages["base"]) is None
    assert adapter_folder(stages["a"]) == stages["a"] / "lora"
    models = {name: WorldModel.load(tiny_backbone, folder, noise_level=NOISE_LEVEL) for name, folder in stages.items()}
    assert [has_lora(model.backbone.transformer) for model in models.values()] == [False, True, True]
    seen = [perceived(model) for model in models.values()]
    assert not equal(seen[0], seen[1])
    assert not equal(seen[1], seen[2])


def test_there_and_back_predicts_bitwise_the_same(tiny_backbone: Path, stages: dict[str, Path]) -> None:
    alone = {
        name: perceived(WorldModel.load(tiny_backbone, folder, noise_level=NOISE_LEVEL))
        for name, folder in stages.items()
    }
    model = WorldModel.load(tiny_backbone, stages["a"], noise_level=NOISE_LEVEL)
    backbone = model.backbone
    for name in ("b", "a", "base", "a", "b", "base"):
        model = model.with_stage(stages[name])
        assert equal(perceived(model), alone[name])
    assert model.backbone is backbone


def test_a_stage_that_cannot_be_loaded_changes_nothing(
    tiny_backbone: Path, stages: dict[str, Path], tmp_path: Path
) -> None:
    model = WorldModel.load(tiny_backbone, stages["a"], noise_level=NOISE_LEVEL)
    before = perceived(model)
    broken = tmp_path / "broken"
    shutil.copytree(stages["b"], broken)
    (broken / "lora" / "pytorch_lora_weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"broken/lora/pytorch_lora_weights\.safetensors is missing"):
        model.with_stage(broken)
    shutil.rmtree(broken / "motion")
    with pytest.raises(CheckpointError, match="no head in"):
        model.with_stage(broken)
    assert equal(perceived(model), before)
