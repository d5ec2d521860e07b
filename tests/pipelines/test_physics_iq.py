"""The Physics-IQ pipelines: from a command and two folders to a file of scores; and the nodes with a tiny backbone."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqConfig, PhysicsIqGenerationConfig
from phys4d_kedro.pipelines import physics_iq, physics_iq_generation
from phys4d_kedro.world_model.config import LoadingConfig, SamplingConfig
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from tests.evaluation.physics_iq.official_set import SECONDS, OfficialSet
from tests.world_model.families import PROMPTS, TINY

Kedro = Callable[..., subprocess.CompletedProcess[str]]


def test_generated_and_scored(tmp_path: Path) -> None:
    official = OfficialSet(tmp_path / "set", tmp_path / "generated").write(switch_frames=True)
    build_nano_wan(tmp_path / "backbone", TINY, prompts=PROMPTS, seed=0)
    common = {"dataset_dir": str(official.root), "generated_dir": str(official.generated), "seconds": SECONDS}
    output = tmp_path / "scores.json"
    inputs = {
        "backbone": tmp_path / "backbone",
        "params:physics_iq_generation": PhysicsIqGenerationConfig(
            seeds=(0, 1), scenarios=("water-pours",), height=32, width=48, fps=8, **common
        ),
        "params:generation.sampling": SamplingConfig(steps=1, guidance=1.0, batch_size=2),
        "params:world_model": LoadingConfig(device="cpu"),
        "params:physics_iq": PhysicsIqConfig(output=str(output), cache_dir=str(tmp_path / "cache"), jobs=1, **common),
    }
    catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()})
    made = SequentialRunner().run(physics_iq_generation.create_pipeline(), catalog)
    assert made["physics_iq_videos"].load()["seeds"]["1"] == {"videos": 3, "new": 3}
    results = SequentialRunner().run(physics_iq.create_pipeline(), catalog)["physics_iq_results"].load()
    assert results == json.loads(output.read_text())
    assert results["scored_videos"] == 6
    assert results["scenarios"]["water-pours"]["verified"]["score"] == results["verified"]["score"]
    assert results["scenarios"]["ball-falls"]["verified"]["score"] is None


@pytest.mark.slow
def test_command(tmp_path: Path, project: Path, kedro: Kedro) -> None:
    official = OfficialSet(tmp_path / "set", tmp_path / "generated").write()
    official.generate()
    output = tmp_path / "out.json"
    where = f"physics_iq.dataset_dir={official.root},physics_iq.generated_dir={official.generated}"
    params = f"{where},physics_iq.output={output},physics_iq.seconds={SECONDS},physics_iq.jobs=1"
    result = kedro("run", "--pipeline=physics_iq", f"--params={params}")
    assert result.returncode == 0, result.stderr[-3000:]
    results = json.loads(output.read_text())
    assert results["complete"]
    keys = {"score", "mse", "spatiotemporal_iou", "spatial_iou", "weighted_spatial_iou", "std"}
    assert set(results["original"]) == set(results["verified"]) == keys
    assert json.loads((project / "data/08_reporting/physics_iq/results.json").read_text()) == results

    wrong = kedro("run", "--pipeline=physics_iq", f"--params=physics_iq.dataset_dir={tmp_path / 'nowhere'}")
    assert wrong.returncode == 1
    assert "ConfigurationError: dataset_dir: there is no folder" in wrong.stderr
    assert "Traceback" not in wrong.stderr
