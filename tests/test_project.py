"""The project as Kedro and Make see it: light imports, named nodes, early errors, installation."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from phys4d_kedro.pipeline_registry import DEFAULT_PIPELINES

ROOT = Path(__file__).parents[1]
Kedro = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = (
    *("torch", "diffusers", "transformers", "accelerate", "mujoco", "warp", "cv2", "av"),
    *("great_expectations", "matplotlib", "plotly", "scipy"),
)


@pytest.fixture(scope="module")
def registered() -> dict[str, Pipeline]:
    """The project's pipelines."""
    configure_project("phys4d_kedro")
    return dict(pipelines)


def nodes_of(registered: dict[str, Pipeline]) -> list[Node]:
    """Every node."""
    return [node for name, pipeline in registered.items() if name != "__default__" for node in pipeline.nodes]


def test_listing_pipelines_imports_nothing_heavy() -> None:
    code = (
        "import sys; from kedro.framework.project import configure_project, pipelines;"
        "configure_project('phys4d_kedro'); print(*sorted(pipelines));"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    listed, heavy = result.stdout.split("\n")[:2]
    assert set(DEFAULT_PIPELINES) < set(listed.split())
    assert heavy == ""


def test_default_pipeline_joins_its_parts(registered: dict[str, Pipeline]) -> None:
    expected = {node.name for name in DEFAULT_PIPELINES for node in registered[name].nodes}
    assert {node.name for node in registered["__default__"].nodes} == expected
    free = {name for name in registered["__default__"].inputs() if not name.startswith("params:")}
    assert free <= {"node_durations"}


def test_nodes_are_named_and_tagged(registered: dict[str, Pipeline]) -> None:
    names = [node.name for node in nodes_of(registered)]
    assert len(set(names)) == len(names)
    for name, pipeline in registered.items():
        for node in pipeline.nodes:
            assert re.fullmatch(r"[a-z0-9_.]+\.[a-z0-9]+(_[a-z0-9]+)+_node", node.name), node.name
            assert node.tags, node.name
            assert name == "__default__" or name in node.tags, (name, node.name)


def test_nodes_are_typed_and_described(registered: dict[str, Pipeline]) -> None:
    for node in nodes_of(registered):
        assert inspect.getdoc(node.func), node.name
        # Kedro reads the types of parameters from these; one that does not resolve would pass unchecked.
        hints = typing.get_type_hints(node.func)
        assert "return" in hints, node.name
        parameters = [n for n in node.inputs if n.startswith("params:")]
        typed = [hint for name, hint in hints.items() if name != "return" and hasattr(hint, "model_fields")]
        assert len(typed) >= len(parameters), node.name


def test_library_packages_know_nothing_of_kedro() -> None:
    package = ROOT / "src/phys4d_kedro"
    own = {"pipelines", "datasets", "data_docs"}  # the last is a program, which runs nodes
    for file in package.glob("*/**/*.py"):
        if file.relative_to(package).parts[0] in own:
            continue
        for found in ast.walk(ast.parse(file.read_text())):
            modules = [found.module or ""] if isinstance(found, ast.ImportFrom) else []
            modules += [alias.name for alias in found.names] if isinstance(found, ast.Import) else []
            assert not [m for m in modules if m.split(".")[0] in ("kedro", "kedro_datasets")], file


def test_imports_point_down() -> None:
    levels = (
        ("pipelines", "datasets"),
        ("reporting", "sweeps"),
        ("training",),
        ("evaluation",),
        ("world_model", "simulation", "perception", "ingestion"),
        ("geometry", "clips"),
    )
    level = {package: index for index, packages in enumerate(levels) for package in packages}
    wrong = []
    for package, index in level.items():
        for file in (ROOT / "src/phys4d_kedro" / package).glob("**/*.py"):
            for imported in re.findall(r"(?:from|import) phys4d_kedro\.(\w+)", file.read_text()):
                if level.get(imported, index) < index:
                    wrong.append(f"{file.relative_to(ROOT)} imports {imported}")
    assert wrong == []


def test_base_configuration_is_valid(project: Path) -> None:
    code = (
        "from pathlib import Path; from kedro.framework.startup import bootstrap_project;"
        "from kedro.framework.session import KedroSession; bootstrap_project(Path.cwd());"
        "session = KedroSession.create(); context = session.load_context();"
        "catalog = context.catalog; [catalog.get(name) for name in list(catalog)]; print('valid')"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False)
    assert result.stdout.strip().endswith("valid"), result.stderr[-3000:]


@pytest.mark.parametrize("option", ["--pipeline=evaluation", "--pipelines=evaluation,reporting"])
def test_run_without_inputs_names_the_pipelines_that_make_them(project: Path, kedro: Kedro, option: str) -> None:
    result = kedro("run", option)
    assert result.returncode == 1
    assert "MissingInputError" in result.stderr
    for dataset, maker in (
        ("simulated_clips_heldout", "simulation"),
        ("labeled_clips", "pseudo_labeling"),
        ("backbone", "backbone"),
        ("heads", "pretrain"),
    ):
        assert f"- '{dataset}': `kedro run --pipeline={maker}` makes it" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (project / "data/02_intermediate").exists()


def test_wrong_parameters_stop_a_run_before_any_work(project: Path, kedro: Kedro) -> None:
    file = project / "conf/base/globals.yml"
    file.write_text(file.read_text().replace("frames: 17", "frames: 16"))
    wrong = "evaluation.tracks=many,evaluation.trakcs=4,pretrian.repeats=2"
    result = kedro("run", f"--params={wrong}")
    assert result.returncode == 1
    message = result.stderr[result.stderr.index("ConfigurationError") :]
    assert "--params: evaluation.tracks = 'many': Input should be a valid integer" in message
    assert "--params: unknown key 'evaluation.trakcs'; did you mean 'tracks'?" in message
    assert "--params: unknown key 'pretrian'; did you mean 'pretrain'?" in message
    assert re.search(
        r"conf/base/globals.yml:\d+ \(clip.frames, used in conf/base/parameters_simulation.yml:\d+\)", message
    )
    assert "use 13 or 17" in message
    assert "Traceback" not in result.stderr


class TestMake:
    """Installation happens when it must, and only then."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """What `make` looks at."""
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, tmp_path)
        return tmp_path

    def plan(self, folder: Path, target: str, **variables: str) -> str:
        """What `make` would do."""
        command = ["make", "-n", target, *(f"{key}={value}" for key, value in variables.items())]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=environment).stdout

    @pytest.mark.parametrize("target", ["run", "test", "lint", "viz", "viz-build"])
    def test_installs_once_and_again_when_requirements_change(self, folder: Path, target: str) -> None:
        first = self.plan(folder, target)
        assert "pip install" in first
        assert "-c constraints.txt" in first
        stamp = re.search(r"touch (\S+)", first)
        assert stamp is not None
        (folder / ".venv").mkdir()
        (folder / stamp[1]).touch()
        assert "pip" not in self.plan(folder, target)
        with (folder / "constraints.txt").open("a") as file:
            file.write("# changed\n")
        assert "pip install" in self.plan(folder, target)

    def test_says_what_is_missing_without_python(self, folder: Path) -> None:
        result = subprocess.run(["make", "install", "PYTHON="], cwd=folder, capture_output=True, text=True, check=False)
        assert result.returncode != 0
        assert "Python 3.11 or newer" in result.stderr
        assert "PYTHON=/path/to/python3.11" in result.stderr

    def test_a_python_that_is_too_old_is_not_taken(self, folder: Path) -> None:
        (folder / "bin").mkdir()
        for name in ("python3", "python3.11", "python3.12", "python3.13"):
            (folder / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
            (folder / "bin" / name).chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        command = ["make", "install"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
        assert "Python 3.11 or newer" in result.stderr


def test_constraints_are_exact_and_cover_the_requirements() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {line.partition("==")[0].lower().replace("_", "-").replace(".", "-") for line in lines}
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *extras["dev"], *extras["samples"]]
    names = {re.match(r"[\w.-]+", entry)[0].lower().replace("_", "-") for entry in required}  # type: ignore[index]
    assert names - pinned == set()
