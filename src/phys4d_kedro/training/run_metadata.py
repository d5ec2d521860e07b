"""Where results come from: Git commit, seed, versions, hardware, command line and parameters of a run.

A Kedro run declares its own before the first node, in an environment variable, so that processes which it starts know
them too; checkpoints keep them in a file beside the weights. They are part of no fingerprint and of no weights.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

FILE = "run.json"
"""Name of the file in a checkpoint."""

_VARIABLE = "PHYS4D_RUN"
_PACKAGES = (
    *("phys4d_kedro", "torch", "diffusers", "transformers", "accelerate", "peft", "numpy", "pandas", "kedro"),
    *("mujoco", "warp-lang"),
)


class RunMetadata(BaseModel):
    """What a run was. `git_commit` and `git_dirty` are none outside of a repository; `parameters` by Kedro's names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str
    seed: int | None
    git_commit: str | None
    git_dirty: bool | None
    python: str
    packages: dict[str, str]
    system: str
    processors: int
    memory_bytes: int | None
    gpus: tuple[str, ...]
    parameters: dict[str, Any]


def declare(*, seed: int | None, parameters: Mapping[str, Any], root: Path) -> RunMetadata:
    """Say what this process runs, for itself and the processes that it starts.

    Args:
        seed: that of the run; the trainings' own are in its parameters.
        parameters: what the run reads, as JSON-able values or pydantic models.
        root: folder of the project, whose Git state counts.
    """
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no") if commit else None
    described = RunMetadata(
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        seed=seed,
        git_commit=commit,
        git_dirty=None if changes is None else bool(changes),
        python=platform.python_version(),
        packages=versions(_PACKAGES),
        system=f"{platform.system()} {platform.machine()}",
        processors=processors(),
        memory_bytes=_memory(),
        gpus=_gpus(),
        parameters={name: _plain(value) for name, value in parameters.items()},
    )
    os.environ[_VARIABLE] = described.model_dump_json()
    return described


def declared() -> RunMetadata | None:
    """What this process is part of; None where no run has said so."""
    try:
        return RunMetadata.model_validate_json(os.environ[_VARIABLE])
    except (KeyError, ValidationError):  # none, or that of another release
        return None


def write(folder: Path) -> None:
    """Leave what this process is part of in a folder, if it is known."""
    run = declared()
    if run is not None:
        (folder / FILE).write_text(run.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> RunMetadata | None:
    """What made a checkpoint; None where it was not known."""
    try:
        return RunMetadata.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def describe(run: RunMetadata) -> list[tuple[str, str]]:
    """Words and values for a table, in the order in which they are read."""
    commit = run.git_commit or "not in Git"
    rows = [
        ("Command", run.command),
        ("Git commit", f"{commit}, with uncommitted changes" if run.git_dirty else commit),
        ("Seed", "none" if run.seed is None else str(run.seed)),
        ("Processors", f"{run.processors} ({run.system})"),
    ]
    if run.memory_bytes is not None:
        rows.append(("Memory", f"{run.memory_bytes / 2**30:.0f} GiB"))
    rows.append(("GPUs", ", ".join(run.gpus) or "none"))
    packages = ", ".join(f"{name} {number}" for name, number in run.packages.items())
    return [*rows, ("Versions", f"Python {run.python}, {packages}")]


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions by name, of the packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _git(root: Path, *arguments: str) -> str | None:
    """What Git says, None where it is not installed or `root` is in no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _gpus() -> tuple[str, ...]:
    """As the driver names them: torch, which would too, is not to be imported before a node needs it."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip())


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return json.loads(json.dumps(value, default=str))
