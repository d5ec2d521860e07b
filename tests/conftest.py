"""Settings of every test: offline, quiet, few threads; set before any package that reads them is imported."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ["DVC_NO_ANALYTICS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
# Tests compute on tiny arrays: more threads than this only wait for each other.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

ROOT = Path(__file__).parents[1]
Kedro = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def undeclared_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the run that another has declared; see `training.run_metadata`."""
    monkeypatch.setenv("PHYS4D_RUN", "")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project without any data: what a fresh clone is."""
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (tmp_path / "conf/local").mkdir()
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return tmp_path


@pytest.fixture
def kedro(project: Path) -> Kedro:
    """Kedro's command line, run in `project`: `kedro("run", "--pipeline=simulation")`."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kedro", *arguments]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=180, check=False)

    return run
