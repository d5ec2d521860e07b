"""dvc.yaml says what the pipelines really read and write."""

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
from dvc_code import RECIPES, catalog_of, code_of, pipelines_of_stages
from kedro.pipeline import Pipeline

from phys4d_kedro.reporting.headlines import pick_figures

ROOT = Path(__file__).parents[1]
RUN: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
WEIGHTS: dict[str, Any] = yaml.safe_load((ROOT / "weights" / "dvc.yaml").read_text())["stages"]
GALLERY: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "gallery" / "dvc.yaml").read_text())["stages"]
BENCHMARKS: dict[str, Any] = yaml.safe_load((ROOT / "benchmarks" / "dvc.yaml").read_text())["stages"]
STAGES = RUN | WEIGHTS | GALLERY | BENCHMARKS
# Not a product of a stage: entries of the cache are keyed by content, durations change with every run.
NOT_TRACKED = {"phys4d_kedro.datasets.latent_cache.LatentCacheDataset"}
NOT_TRACKED_NAMES = {"node_durations"}


@pytest.fixture(scope="module")
def registered() -> dict[str, Pipeline]:
    """What every stage runs."""
    return pipelines_of_stages()


def paths(stage: dict[str, Any], *sections: str) -> set[str]:
    """The paths a stage lists in these sections."""
    entries = [entry for section in sections for entry in stage.get(section, [])]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def files_of(names: set[str], catalog: dict[str, Any]) -> set[str]:
    """The files of those datasets that are tracked."""
    configured = {name: catalog[name] for name in names - NOT_TRACKED_NAMES if name in catalog}
    return {entry.get("filepath") or entry["path"] for entry in configured.values() if entry["type"] not in NOT_TRACKED}


def test_every_pipeline_has_a_stage(registered: dict[str, Pipeline]) -> None:
    assert set(STAGES) == set(registered)


@pytest.mark.parametrize("name", STAGES)
def test_stage_runs_its_pipeline(name: str) -> None:
    if name in RECIPES:
        env, names = RECIPES[name]
        assert STAGES[name]["cmd"] == f"kedro run --env={env} --pipelines={','.join(names)}"
    else:
        assert STAGES[name]["cmd"] == f"kedro run --pipeline={name}"


@pytest.mark.parametrize("name", STAGES)
def test_outputs_agree(name: str, registered: dict[str, Pipeline]) -> None:
    outputs = files_of(registered[name].all_outputs(), catalog_of(name))
    outputs = {path for path in outputs if not path.startswith(("weights/", "docs/"))}  # these belong to git
    assert paths(STAGES[name], "outs", "metrics", "plots") == outputs


@pytest.mark.parametrize("name", STAGES)
def test_inputs_are_dependencies(name: str, registered: dict[str, Pipeline]) -> None:
    inputs = files_of(registered[name].inputs(), catalog_of(name))
    data = {path for path in paths(STAGES[name], "deps") if path.startswith(("data/", "metrics/"))}
    assert data == {path for path in inputs if path.startswith(("data/", "metrics/"))}


@pytest.mark.parametrize("name", STAGES)
def test_parameters_agree(name: str, registered: dict[str, Pipeline]) -> None:
    used = {n.removeprefix("params:").partition(".")[0] for n in registered[name].inputs() if n.startswith("params:")}
    files = {f"conf/base/parameters_{key}.yml" for key in used}
    if name in RECIPES:
        files |= {str(path.relative_to(ROOT)) for path in (ROOT / "conf" / RECIPES[name][0]).glob("parameters_*.yml")}
    assert paths(STAGES[name], "params") == files | {"conf/base/globals.yml"}


@pytest.mark.parametrize("name", STAGES)
def test_code_is_what_is_imported(name: str, registered: dict[str, Pipeline]) -> None:
    listed = {path for path in paths(STAGES[name], "deps") if path.startswith("src/")}
    expected = code_of(name, registered[name])
    assert listed == expected, "imports changed: `python tests/dvc_code.py` writes what each stage depends on"


@pytest.mark.parametrize("name", STAGES)
def test_dependencies_on_the_repository_exist(name: str) -> None:
    listed = {path for path in paths(STAGES[name], "deps", "params") if path.startswith(("src/", "conf/", "weights/"))}
    assert [path for path in sorted(listed) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", [name for name in STAGES if name != "reporting"])
def test_interrupted_work_is_kept(name: str) -> None:
    for section in ("outs", "metrics", "plots"):
        for entry in STAGES[name].get(section, []):
            assert isinstance(entry, dict), entry
            assert next(iter(entry.values()))["persist"] is True


PLOTS = {
    path: options for stage in STAGES.values() for plot in stage.get("plots", []) for path, options in plot.items()
}


@pytest.mark.parametrize("path", PLOTS)
def test_plots_name_columns_of_their_files(path: str) -> None:
    columns = (ROOT / path).read_text().partition("\n")[0].split(",")
    assert {PLOTS[path]["x"], PLOTS[path]["y"]} <= set(columns)


def test_metrics_are_few_and_flat() -> None:
    files = {path for stage in STAGES.values() for entry in stage.get("metrics", []) for path in entry}
    assert files == {"metrics/headlines.json"}  # every other file of metrics/ would add hundreds of columns
    figures = yaml.safe_load((ROOT / "conf/base/parameters_headlines.yml").read_text())["headlines"]["figures"]
    sources = {name: json.loads((ROOT / f"metrics/{name}.json").read_text()) for name in ("evaluation", "comparison")}
    assert len(figures) <= 12
    assert set(pick_figures(sources, figures)) == set(figures)


@pytest.mark.slow
def test_dvc_reads_the_file_and_orders_the_stages(tmp_path: Path) -> None:
    for name in (".dvc/config", ".dvcignore", "dvc.yaml", "src", "conf", "weights"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    (tmp_path / "data/01_raw").mkdir(parents=True)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    shown = subprocess.run(
        ["dvc", "repro", "--dry", "--force"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    order = re.findall(r"Running stage '(\w+)'", shown.stdout)
    assert set(order) == set(RUN)
    assert order.index("simulation") < order.index("pseudo_labeling") < order.index("pretrain")
    assert order.index("backbone") < order.index("pretrain") < order.index("evaluation") < order.index("reporting")
