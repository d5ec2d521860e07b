"""Every command of the documents is run here, does what a named test does, or is not run for a reason that is told."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import DOCUMENTS, ROOT, commands

ENTRIES: list[dict[str, str]] = yaml.safe_load((ROOT / "tests/documented_commands.yml").read_text())

# Commands as they stand in the documents, in the order in which a reader may give them.
READ = (
    "kedro run",
    "kedro run --pipelines=pretrain,evaluation,headlines"
    ' --params="pretrain.head=linear,pretrain.loop.learning_rate=0.01"',
    "git diff metrics/headlines.json metrics/evaluation.json",
    'kedro run --pipeline=pretrain --params="pretrain.haed=linear"',
    "dvc commit -f dvc.yaml",
    "dvc status dvc.yaml",
    "dvc repro",
    'kedro run --pipeline=ingestion --params="ingestion.on_error=skip"',
    "dvc config --local cache.type reflink,hardlink,symlink",
    "dvc checkout --relink dvc.yaml",
    "dvc unprotect data",
    "dvc remote add --default shared /mnt/shared/phys4d",
)

# The sizes of a run of a minute, over those of conf/base.
SMALL: dict[str, Any] = {
    "simulation": {
        "scenes": ["ball_ramp", "ball_collide"],
        "samples": 2,
        "train": {"clips": 8},
        "validation": {"clips": 2},
        "heldout": {"clips": 4},
        "unseen": {"clips": 1, "scenes": ["ball_hits_duck"]},
    },
    "ingestion": {"max_clips_per_video": 1},
    "backbone": {
        "transformer": {"loop": {"steps": 2, "batch_size": 2}},
        "validation": {"clips": 2, "levels": 2, "sampling": {"steps": 2}, "bootstrap_resamples": 20},
    },
    "pretrain": {"repeats": 1, "loop": {"steps": 4, "batch_size": 2}},
    "sft": {"loop": {"steps": 2, "batch_size": 2, "validate_every": 2}},
    "rl": {
        **{"iterations": 1, "conditions": 1, "group": 2, "worlds_at_once": 2, "steps": 3, "trained_steps": 1},
        "loop": {"steps": 1, "batch_size": 1, "validate_every": 1},
        "validation": {"clips": 1, "sampling": {"steps": 2}},
    },
    "generation": {"clips": 1, "sampling": {"steps": 2}},
    "evaluation": {"bootstrap_resamples": 20, "example_clips": 1},
    "comparison": {"clips": 2, "sampling": {"steps": 2}, "bootstrap_resamples": 20, "sheet_clips": 1},
    "world_suite": {"videos": 1, "bootstrap_resamples": 20},
    "simiq": {"sampling": {"steps": 1}, "bootstrap_resamples": 20},
    "reporting": {"worlds": 1, "examples": 1},
}


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with `changes` inside it."""
    return values | {
        key: merged(values[key], change) if isinstance(change, dict) and isinstance(values.get(key), dict) else change
        for key, change in changes.items()
    }


def exists(test: str) -> bool:
    """Whether a file of tests has a function, fixture or class of this name."""
    file, _, name = test.partition("::")
    nodes = ast.walk(ast.parse((ROOT / file).read_text()))
    return name in {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_every_command_is_run_or_tested_or_it_is_said_why_not() -> None:
    found = {command: document.name for document in DOCUMENTS for command in commands(document)}
    assert len(found) > 100
    assert [command for command in READ if command not in found] == []
    patterns = [re.compile(entry["command"]) for entry in ENTRIES]
    open_ = {
        command: document
        for command, document in found.items()
        if command not in READ and not any(pattern.fullmatch(command) for pattern in patterns)
    }
    assert open_ == {}, "name a test or a reason in tests/documented_commands.yml"


def test_entries_are_of_commands_that_there_are_and_name_tests_that_there_are() -> None:
    found = {command for document in DOCUMENTS for command in commands(document)}
    for entry in ENTRIES:
        assert any(re.fullmatch(entry["command"], command) for command in found), entry
        assert entry.keys() == {"command", "test"} or entry.keys() == {"command", "untested"}, entry
        assert exists(entry["test"]) if "test" in entry else entry["untested"], entry


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of the project with small parameters, without data."""
    folder = tmp_path / "phys4d-kedro"
    folder.mkdir()
    for name in (".dvc", "conf", "src", "weights", "metrics", "docs", "benchmarks"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "cache", "tmp")
        )
    for name in ("pyproject.toml", ".telemetry", ".dvcignore", "dvc.yaml", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    for folder_of_data in ROOT.glob("data/*/"):
        (folder / "data" / folder_of_data.name).mkdir(parents=True)
    for name, changes in SMALL.items():
        file = folder / f"conf/base/parameters_{name}.yml"
        file.write_text(yaml.safe_dump(merged(yaml.safe_load(file.read_text()), {name: changes})))
    for command in ("git init -q -b main", "git add .", "git -c user.name=a -c user.email=a@b.c commit -qm Clone"):
        subprocess.run(command.split(), cwd=folder, check=True)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_reader_gives_the_commands(clone: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    environment["PYTHONPATH"] = str(clone / "src")
    printed: dict[str, str] = {}
    for command in READ:
        result = subprocess.run(
            ["sh", "-c", command], cwd=clone, env=environment, capture_output=True, text=True, timeout=1500, check=False
        )
        printed[command] = result.stdout + result.stderr
        assert result.returncode == ("haed" in command), f"{command}\n{printed[command][-4000:]}"
        if command == "kedro run":
            first = json.loads((clone / "metrics/headlines.json").read_text())
    assert "did you mean 'head'?" in printed[READ[3]]
    assert (clone / "data/08_reporting/report.html").stat().st_size > 100_000
    # The heads trained anew are others; stages 2 and 3 did not run.
    changed = set(re.findall(r'^\+ *"(\w+)"', printed[READ[2]].partition("metrics/headlines.json")[2], re.MULTILINE))
    assert {"heads_depth_error", "heads_motion_error"} <= changed & first.keys()
    # What DVC took over is up to date: `dvc repro` runs nothing.
    assert "Running stage" not in printed["dvc repro"], printed["dvc repro"]
