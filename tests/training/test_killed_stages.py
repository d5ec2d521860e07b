"""Every training stage, killed ten times at random points by the operating system, ends in the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from phys4d_kedro.clips.shards import write_shards
from tests.evaluation.tiny_estimators import tiny_labels
from tests.factories import make_clip
from tests.training.stage_to_kill import KILLS, STAGES, content_of
from tests.world_model.families import FORMS
from tests.world_model.tiny_stages import write_stage

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What any stage reads; the backbone's output depends on its insides, as a trained one's does."""
    folder = tmp_path_factory.mktemp("inputs")
    write_shards([make_clip(i) for i in range(4)], str(folder / "clips"), clips_per_shard=4)
    FORMS[0].build(folder / "backbone")
    for seed in (1, 2):
        write_stage(folder / "backbone", folder / "heads" / f"seed_{seed}", heads=seed, adapter=None)
    write_stage(folder / "backbone", folder / "sft" / "seed_1", heads=1, adapter=1)
    (folder / "labels.json").write_text(tiny_labels(folder / "depth_estimator").model_dump_json())
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_killed_ends_as_an_undisturbed_one(stage: str, inputs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.training.stage_to_kill", stage, str(inputs), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(json.loads((tmp_path / "kills.json").read_text())) == KILLS
    for part in ("model", "checkpoints"):
        assert content_of(tmp_path / "killed" / part) == content_of(tmp_path / "undisturbed" / part)
    weights = [path for path in (tmp_path / "killed" / "model").rglob("*.safetensors") if "lora" in path.name]
    assert bool(weights) == (stage in {"sft", "rl"})
    for path in weights:  # it has learned something
        tensors = load_file(path)
        assert all(value.any() for key, value in tensors.items() if key.endswith("lora_B.weight"))
