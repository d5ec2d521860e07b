"""`kedro run` of stage 2 in two processes: the model of one process, and the run goes on with it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from factories import make_clip
from safetensors.torch import load_file
from torch.testing import assert_close

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from tests.conftest import Kedro
from tests.world_model.families import TINY
from tests.world_model.tiny_heads import write_heads

pytestmark = pytest.mark.slow

STEPS = 3
PARAMETERS = {
    "lora.rank": 2,
    "lora.alpha": 2,
    "loop.steps": STEPS,
    "loop.batch_size": 2,
    "loop.micro_batch_size": 1,
    "loop.warmup_steps": 0,
    "loop.validate_every": STEPS,
    "loop.trackers": "[]",
}


@pytest.fixture
def prepared(project: Path) -> Path:
    """The project with a tiny backbone, heads and clips in the places of the catalog."""
    build_nano_wan(project / "data/06_models/backbone", TINY, prompts=["a sphere before a wall"], seed=0)
    write_heads(project / "data/06_models/backbone", project / "data/06_models/heads/seed_0")
    for name, first in (("train", 0), ("validation", 10)):
        folder = project / f"data/02_intermediate/simulated_clips_{name}"
        write_shards([make_clip(first + i) for i in range(3)], str(folder), clips_per_shard=4)
        report = project / f"data/08_reporting/quality/simulated_clips_{name}.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text("{}")
    return project


def train(kedro: Kedro, project: Path, processes: int) -> tuple[dict[str, Path], pd.DataFrame, str]:
    """Run the pipeline with checkpoints of its own; weights by name, the loss curve, and what was printed."""
    own = {"launch.processes": processes, "checkpoint_dir": f"data/06_models/checkpoints/of_{processes}"}
    parameters = ",".join(f"sft.{name}={value}" for name, value in (PARAMETERS | own).items())
    run = kedro("run", "--pipeline=sft", f"--params={parameters}")
    assert run.returncode == 0, run.stderr[-3000:]
    models = project / f"models_of_{processes}"
    shutil.move(project / "data/06_models/sft", models)
    weights = {str(path.relative_to(models)): path for path in models.rglob("*.safetensors")}
    return weights, pd.read_csv(project / "metrics/sft_history.csv"), run.stdout + run.stderr


def test_two_processes_train_the_model_of_one(prepared: Path, kedro: Kedro) -> None:
    models, history, printed = train(kedro, prepared, 2)
    alone, expected, printed_alone = train(kedro, prepared, 1)
    assert "2 process(es) x 1 micro-batch(es)" in printed
    assert "1 process(es) x 2 micro-batch(es)" in printed_alone
    assert history["step"].iloc[-1] == STEPS
    pd.testing.assert_frame_equal(history, expected, rtol=1e-4)
    assert set(models) == set(alone)
    assert len(models) == 3
    for name, path in models.items():
        assert_close(load_file(path), load_file(alone[name]), rtol=1e-3, atol=1e-5)
    adapter = load_file(next(path for name, path in models.items() if "lora" in name))
    assert all(value.any() for key, value in adapter.items() if "lora_B" in key)  # they start at 0
