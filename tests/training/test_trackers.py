"""DVCLive and TensorBoard: read back, they hold every point once, also after a run was cut."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from phys4d_kedro.training.checkpoints import TrainingState
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.loop import FitResult
from phys4d_kedro.training.trackers import open_trackers
from tests.training.tasks import CONFIG, Regression, files_of, folder_of, names_in, run

BOTH = CONFIG.model_copy(update={"trackers": ("dvclive", "tensorboard"), "log_every": 1, "validate_every": 3})


def dvclive_tables(folder: Path) -> dict[str, pd.Series]:
    """Figures by step, by group/figure."""
    root = folder / "dvclive" / "plots" / "metrics"
    return {
        str(path.relative_to(root).with_suffix("")): pd.read_csv(path, sep="\t", index_col="step").iloc[:, 0]
        for path in root.rglob("*.tsv")
    }


def tensorboard_tables(folder: Path) -> dict[str, pd.Series]:
    """The same, as TensorBoard itself reads its files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events: Any = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    scalars = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    return {tag: pd.Series([e.value for e in rows], index=[e.step for e in rows]) for tag, rows in scalars.items()}


def check(folder: Path, result: FitResult) -> None:
    """Both hold the history and the validations, each point once."""
    expected = {
        f"{group}/{key}": table.set_index("step")[key]
        for group, table in (("train", result.history), ("validation", result.validations))
        for key in table.columns
        if key != "step"
    }
    for tables in (dvclive_tables(folder), tensorboard_tables(folder)):
        assert tables.keys() == expected.keys()
        for name, column in expected.items():
            assert tables[name].index.tolist() == column.index.tolist(), name
            assert tables[name].to_numpy() == pytest.approx(column.to_numpy(), rel=1e-6), name
    latest = json.loads((folder / "dvclive" / "metrics.json").read_text())
    assert latest["step"] == result.steps
    assert latest["train"]["loss"] == pytest.approx(result.history["loss"].iloc[-1])


def test_every_point_is_there_once_after_cuts(tmp_path: Path) -> None:
    """Cut before the first checkpoint, then among steps that the next run repeats, each time within an event file."""
    for start, step in ((0, 3), (0, 7), (4, 8), (4, 12)):
        with pytest.raises(KeyboardInterrupt):
            run(Regression(stop_at=2 * (step - start)), tmp_path, BOTH)
        newest = max((folder_of(tmp_path) / "tensorboard").iterdir())
        newest.write_bytes(newest.read_bytes()[:-5])
    result = run(Regression(), tmp_path, BOTH)
    check(folder_of(tmp_path), result)


SCRIPT = """
import os, sys
from pathlib import Path
from tests.training.tasks import Regression, run
from tests.training.test_trackers import BOTH

class Killed(Regression):
    def loss(self, indices, generator):
        if self.calls == 13:
            os.kill(os.getpid(), 9)
        return super().loss(indices, generator)

run(Killed(), Path(sys.argv[1]), BOTH)
"""


def test_nothing_is_missing_after_a_kill(tmp_path: Path) -> None:
    """What is in a writer's memory is lost then; what the checkpoint has must not be."""
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=root, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert "step_00000004" in names_in(tmp_path)
    result = run(Regression(), tmp_path, BOTH)
    assert result.resumed_from == 4
    check(folder_of(tmp_path), result)


def test_only_what_is_asked_for_is_written_or_imported(tmp_path: Path) -> None:
    run(Regression(), tmp_path / "dvclive", BOTH.model_copy(update={"trackers": ("dvclive",)}))
    assert "dvclive" in names_in(tmp_path / "dvclive")
    assert "tensorboard" not in names_in(tmp_path / "dvclive")
    assert LoopConfig(steps=1, batch_size=1, learning_rate=1, seed=0).trackers == ("dvclive", "tensorboard")
    code = (
        "import sys; from pathlib import Path; from tests.training.tasks import Regression, run;"
        "run(Regression(), Path(sys.argv[1]));"
        "print(*[name for name in ('dvclive', 'dvc', 'tensorboard') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "none")]
    listed = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert listed.stdout.strip() == ""


def test_a_complete_run_leaves_its_curves_alone(tmp_path: Path) -> None:
    run(Regression(), tmp_path, BOTH)
    before = files_of(tmp_path)
    run(Regression(), tmp_path, BOTH)
    assert files_of(tmp_path) == before


def test_dvclive_leaves_git_and_dvc_alone_and_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a Git repository that is none of DVC's it would make one; with a token it would report to DVC Studio."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    before = files_of(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("DVC_STUDIO_TOKEN", "token")
    monkeypatch.setenv("DVC_STUDIO_REPO_URL", "https://example.invalid/repository")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVCLIVE_RESUME", "true")
    state = TrainingState(step=1, history=[{"step": 1, "loss": 0.5}])
    for _ in range(2):
        with open_trackers(("dvclive",), Path("run"), state) as trackers:
            trackers.log("train", {"step": 2, "loss": float("nan")})
    table = dvclive_tables(tmp_path / "run")["train/loss"]
    assert table.index.tolist() == [1, 2]
    written = {name for name in files_of(tmp_path) if name not in before}
    assert written == {"run/dvclive/metrics.json", "run/dvclive/plots/metrics/train/loss.tsv"}
    assert {path.name for path in tmp_path.iterdir()} == {".git", "run"}  # no empty folders either
