"""The best trial as an environment of Kedro."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.sweeps.space import with_values

_MARK = "best_trial.yml"  # no name that Kedro reads
_PARTS = ("parameters*", "catalog*", "globals*")  # credentials stay where they are


def check_environment(folder: Path) -> None:
    """Raises ConfigurationError where `folder` is an environment that was not written by a sweep."""
    name = folder.name
    if name in ("", "base", "local") or (folder.exists() and not (folder / _MARK).is_file()):
        raise ConfigurationError(
            f"--write-best={name}: conf/{name} was not written by a sweep and is left alone; name another environment"
        )


def write_overlay(folder: Path, values: Mapping[str, Any], *, over: Path, origin: Mapping[str, Any]) -> None:
    """Make `folder` an environment that holds `values` above those of the environment `over`, which may be the same.

    Args:
        values: by dotted names; a name without a dot, such as `seed`, is one of the globals.
        origin: which trial this is, for the reader; its presence says that a sweep may write the folder again.
    """
    if over.resolve() != folder.resolve():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in sorted(file for part in _PARTS for file in over.glob(part)):
            shutil.copy(file, folder)
    files: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        file_name = f"parameters_{name.partition('.')[0]}.yml" if "." in name else "globals.yml"
        files.setdefault(file_name, {})[name] = value
    for file_name, own in files.items():
        file = folder / file_name
        there = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        file.write_text(yaml.safe_dump(with_values(there or {}, own), sort_keys=False), encoding="utf-8")
    (folder / _MARK).write_text(yaml.safe_dump(dict(origin), sort_keys=False), encoding="utf-8")
