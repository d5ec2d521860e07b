"""The code that every stage of DVC depends on, by what its pipeline imports; run as a script, it writes that down."""

import ast
import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project, pipelines
from kedro.pipeline import Pipeline

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/phys4d_kedro"
FILES = ("dvc.yaml", "weights/dvc.yaml", "docs/gallery/dvc.yaml", "benchmarks/dvc.yaml")
# Stages that run several pipelines, in an environment of their own.
RECIPES = {"nano_backbone": ("nano-backbone", ("simulation", "backbone"))}
# Packages that a stage depends on as a whole; of the others, on the modules and packages in them that it imports.
WHOLE = {"clips", "datasets", "geometry", "ingestion", "perception", "simulation", "world_model"}
# Files that a module reads.
DATA_OF = {"reporting/report.py": ("reporting/page",)}


def pipelines_of_stages() -> dict[str, Pipeline]:
    """What every stage runs."""
    configure_project("phys4d_kedro")
    alone = {name: pipeline for name, pipeline in pipelines.items() if name != "__default__"}
    return alone | {stage: sum((alone[n] for n in names), Pipeline([])) for stage, (_, names) in RECIPES.items()}


@functools.cache
def _catalog(environment: str) -> dict[str, Any]:
    return dict(OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env=environment)["catalog"])


def catalog_of(stage: str) -> dict[str, Any]:
    """The catalog as it is configured for a stage."""
    return _catalog(RECIPES.get(stage, ("local",))[0])


def modules_named(name: str) -> list[Path]:
    """The file of a module of this project and the package files that importing it runs, if it is one."""
    path = PACKAGE.parent / name.replace(".", "/")
    found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    # Packages of pipelines import their pipelines, which has no effect on what a function of a neighbour computes.
    parents = [] if name.startswith("phys4d_kedro.pipelines") else [*path.parents][: name.count(".") - 1]
    return found + [parent / "__init__.py" for parent in parents] if found else []


@functools.cache
def imported_by(file: Path) -> tuple[Path, ...]:
    """Files of this project that a Python file imports or names (as jobs do), at any place."""
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.append(node.value.partition(":")[0])
    return tuple(f for name in set(names) if name.startswith("phys4d_kedro.") for f in modules_named(name))


@functools.cache
def is_code(file: Path) -> bool:
    """Whether a file holds more than a docstring."""
    return len(ast.parse(file.read_text()).body) > 1


def imported_modules(start: Iterable[Path]) -> set[Path]:
    """What Python files import, directly or not, and themselves."""
    todo, seen = list(start), set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imported_by(file)
    return seen


def code_of(stage: str, pipeline: Pipeline) -> set[str]:
    """What a stage depends on: packages as a whole, but modules one by one where a change must not train anew."""
    folders = [PACKAGE / "pipelines" / name for name in RECIPES.get(stage, ("", (stage,)))[1]]
    types = {entry["type"] for name, entry in catalog_of(stage).items() if name in pipeline.datasets()}
    start = [file for folder in folders for file in folder.glob("*.py")]
    start += [file for kind in types for file in modules_named(kind.rpartition(".")[0])]
    units = {str(folder.relative_to(ROOT)) for folder in folders}
    for file in imported_modules(start):
        parts = file.relative_to(PACKAGE).parts
        if len(parts) == 1 or (file.name == "__init__.py" and not is_code(file)):
            continue  # what every run goes through; packages of a docstring alone
        depth = 1 if parts[0] in WHOLE else 3 if parts[0] == "pipelines" else 2
        unit = PACKAGE.joinpath(*parts[:depth])
        if not any(unit.is_relative_to(folder) for folder in folders):
            units.add(str(unit.relative_to(ROOT)))
            units |= {str((PACKAGE / data).relative_to(ROOT)) for data in DATA_OF.get("/".join(parts), ())}
    return units


def write_code(file: Path, registered: dict[str, Pipeline]) -> None:
    """Replace the lines of `src/` in the `deps` of every stage of a dvc.yaml."""
    stage, lines = "", []
    for line in file.read_text().splitlines():
        stage = match[1] if (match := re.fullmatch(r"  (\w+):", line)) else stage
        if not line.startswith("      - src/"):
            lines.append(line)
        if line == "    deps:" and stage in registered:
            lines += [f"      - {path}" for path in sorted(code_of(stage, registered[stage]))]
    file.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for name in FILES:
        write_code(ROOT / name, pipelines_of_stages())
