"""`kedro sweep` as a user has it."""

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import yaml
from factories import make_clip
from kedro.framework.project import configure_project, pipelines
from optuna import load_study

from phys4d_kedro.cli import cli
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.sweeps.studies import ERROR, open_storage
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from tests.world_model.families import TINY
from tests.world_model.tiny_heads import write_heads

ROOT = Path(__file__).parents[2]
Kedro = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = ("torch", "optuna", "plotly", "pandas", "sqlalchemy", "diffusers")
SWEEP = {
    "parameters": {
        "sft.loop.learning_rate": {"kind": "float", "low": 0.001, "high": 0.01, "log": True},
        "sft.depth_weight": {"kind": "categorical", "choices": [0.5, 2.0]},
    },
    "objectives": [
        {"name": "loss", "file": "metrics/sft_validation.csv", "value": "depth_loss", "direction": "minimize"}
    ],
}
PARAMS = (
    "seed=5,sft.lora.rank=2,sft.loop.steps=2,sft.loop.batch_size=2,sft.loop.warmup_steps=0,sft.loop.validate_every=1,"
    "world_model.device=cpu"
)
OPTIONS = ("sweep", "--pipeline=sft", "--sweep=tiny", "--trials=2", f"--params={PARAMS}")


@pytest.fixture
def stage_1(project: Path) -> Path:
    """The project with all that stage 2 needs, tiny, and a sweep over stage 2."""
    data = project / "data"
    build_nano_wan(data / "06_models/backbone", TINY, prompts=["a sphere before a wall"], seed=0)
    write_heads(data / "06_models/backbone", data / "06_models/heads/seed_5")
    (data / "08_reporting/quality").mkdir(parents=True)
    for name, first in (("train", 0), ("validation", 10)):
        clips = [make_clip(first + i) for i in range(2)]
        write_shards(clips, str(data / f"02_intermediate/simulated_clips_{name}"), clips_per_shard=64)
        (data / f"08_reporting/quality/simulated_clips_{name}.json").write_text("{}")
    (project / "conf/base/sweeps/tiny.yml").write_text(yaml.safe_dump(SWEEP))
    return project


def test_listing_commands_imports_nothing_heavy() -> None:
    code = f"import sys, phys4d_kedro.cli; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout.strip() == ""


def test_the_sweeps_of_the_documents_can_be_run() -> None:
    """As far as options, pipelines and files of sweeps go."""
    configure_project("phys4d_kedro")
    command, documents = cli.commands["sweep"], [ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")]
    text = "\n".join(re.sub(r"\\\n\s*", "", document.read_text()) for document in documents)
    found = re.findall(r"^\s*kedro sweep (.*)$|`kedro sweep (-[^`]*)`", text, re.MULTILINE)
    assert len(found) >= 3
    for arguments in found:
        options = command.make_context("sweep", shlex.split("".join(arguments), comments=True)).params
        assert set(options["pipeline"].split(",")) <= set(pipelines), arguments
        assert (ROOT / f"conf/base/sweeps/{options['sweep']}.yml").is_file(), arguments


def test_errors_come_without_a_traceback_before_anything_is_written(project: Path, kedro: Kedro) -> None:
    result = kedro("sweep", "--pipeline=sft", "--sweep=stf", "--trials=1")
    assert result.returncode == 1
    assert (
        "ConfigurationError: --sweep: there is no file conf/base/sweeps/stf.yml; did you mean 'sft'?" in result.stderr
    )
    assert "Traceback" not in result.stderr
    assert not (project / "data").exists()


def processes_in(folder: Path) -> list[int]:
    """Trials that run there, by Linux's account."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"sweeps.trial_process" in (process / "cmdline").read_bytes() and (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


@pytest.mark.slow
def test_a_sweep_is_stopped_gone_on_with_and_written_back(stage_1: Path, kedro: Kedro) -> None:
    trials = stage_1 / "data/09_sweeps/tiny"
    stopped = subprocess.Popen(
        [sys.executable, "-m", "kedro", *OPTIONS], cwd=stage_1, stderr=subprocess.PIPE, text=True
    )
    while not processes_in(stage_1):
        assert stopped.poll() is None
        time.sleep(0.1)
    stopped.send_signal(signal.SIGTERM)
    _, said = stopped.communicate(timeout=60)
    assert stopped.returncode == 1, said
    assert "stopped by SIGTERM; the same command again goes on" in said
    assert processes_in(stage_1) == []

    result = kedro(*OPTIONS, "--jobs=2", "--write-best=tuned")
    assert result.returncode == 0, result.stderr[-3000:]
    assert "Study tiny: 2 trials: 2 complete. Report: data/08_reporting/sweeps/tiny.html" in result.stdout
    study = load_study(study_name="tiny", storage=open_storage(str(trials.parent / "journal.log")))
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"], result.stderr
    assert study.trials[0].user_attrs[ERROR] == "the sweep was interrupted"
    assert study.trials[0].params == study.trials[1].params

    for trial in study.trials[1:]:
        folder = trials / f"trial_{trial.number:04d}"
        validations = pd.read_csv(folder / "metrics/sft_validation.csv")
        assert validations["step"].tolist() == [0, 1, 2]
        assert trial.value == pytest.approx(validations["depth_loss"].iloc[-1])
        assert len(list((folder / "validations").glob("*.answer"))) == 3
        [run] = [
            yaml.safe_load(file.read_text()) for file in folder.glob("data/06_models/checkpoints/sft/*/*/run.json")
        ]
        assert (run["seed"], run["parameters"]["params:sft"]["depth_weight"]) == (5, trial.params["sft.depth_weight"])
    assert study.trials[1].params != study.trials[2].params
    assert not (stage_1 / "metrics").exists()
    assert not (stage_1 / "data/06_models/sft").exists()
    assert not (stage_1 / "kedro.log").exists() or "Training sft" not in (stage_1 / "kedro.log").read_text()

    best = yaml.safe_load((stage_1 / "conf/tuned/best_trial.yml").read_text())
    assert best == {"study": "tiny", "trial": study.best_trial.number, "loss": study.best_value}
    written = yaml.safe_load((stage_1 / "conf/tuned/parameters_sft.yml").read_text())["sft"]
    assert written["loop"]["learning_rate"] == study.best_params["sft.loop.learning_rate"]
    assert written["lora"] == {"rank": 2}
    assert "Trials" in (stage_1 / "data/08_reporting/sweeps/tiny.html").read_text()
