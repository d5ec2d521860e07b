"""Kedro-Viz draws the method's figure, starts without heavy packages, and previews what it can."""

import functools
import graphlib
import http.server
import itertools
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project, pipelines
from kedro.pipeline import Pipeline

from phys4d_kedro.pipeline_registry import DEFAULT_PIPELINES, GROUPS

ROOT = Path(__file__).parents[1]
# The boxes of the collapsed view, as data flow through them.
FIGURE = ("data", "world_model", "stage_1", "stage_2", "stage_3", "generation", "evaluation", "report")
HEAVY = ("torch", "diffusers", "transformers", "accelerate", "mujoco", "warp", "cv2", "av", "great_expectations")


@pytest.fixture(scope="module")
def registered() -> dict[str, Pipeline]:
    """The project's pipelines."""
    configure_project("phys4d_kedro")
    return dict(pipelines)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The static build of a clone that has metrics and no data, and which modules Python imported for it."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, clone)
    for name in ("conf", "src", "metrics"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-X", "importtime", "-m", "kedro", "viz", "build", "--include-previews"]
    result = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=400, check=False)
    assert (clone / "build/index.html").is_file(), (result.stdout + result.stderr)[-3000:]
    return clone / "build", result.stderr


def imported(trace: str) -> set[str]:
    """Top-level names in what `python -X importtime` printed."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in trace.splitlines() if "|" in line}


def test_groups_flow_as_the_figure_does(registered: dict[str, Pipeline]) -> None:
    needs = {group.name: set(group.dependencies) for group in registered["__default__"].group_nodes_by("namespace")}
    assert set(needs) == set(FIGURE)
    graphlib.TopologicalSorter(needs).prepare()  # raises where groups run in a circle
    for earlier, later in itertools.pairwise(name for name in FIGURE if name != "generation"):
        assert earlier in needs[later], (earlier, later, needs)
    assert "world_model" in needs["generation"]
    assert set(DEFAULT_PIPELINES) <= set(GROUPS)


def test_nodes_say_stage_and_processor(registered: dict[str, Pipeline]) -> None:
    for name in GROUPS.keys() & registered.keys():
        for node in registered[name].nodes:
            assert name in node.tags, node.name
            assert len(node.tags & {"cpu", "gpu"}) == 1, node.name
            assert node.name.startswith(f"{GROUPS[name]}."), node.name


def test_groups_rename_no_data_set_and_no_parameter(registered: dict[str, Pipeline]) -> None:
    catalog = OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="local")["catalog"]
    for name in GROUPS.keys() & registered.keys():
        datasets = registered[name].datasets()
        assert {n for n in datasets if not n.startswith("params:")} <= set(catalog), name
        assert all(
            (ROOT / f"conf/base/parameters_{n[7:].partition('.')[0]}.yml").is_file() for n in datasets if ":" in n
        )


def test_parts_are_chosen_by_node_tag_and_group(registered: dict[str, Pipeline]) -> None:
    whole = registered["__default__"]
    behind = {node.name for node in whole.filter(from_nodes=["stage_3.reinforce_sampler_by_rewards_node"]).nodes}
    assert "report.write_report_node" in behind
    assert not any(name.startswith(("data.", "stage_2.")) for name in behind)
    assert set(whole.filter(tags=["rl"]).nodes) == set(registered["rl"].nodes)
    assert set(whole.filter(node_namespaces=["stage_3"]).nodes) == set(registered["rl"].nodes)
    with pytest.raises(ValueError, match=r"Did you mean: \['stage_1.train_depth_and_motion_heads_node'\]"):
        whole.filter(from_nodes=["train_depth_and_motion_heads_node"])


@pytest.mark.parametrize("command", [["--help"], ["registry", "list"]], ids=" ".join)
def test_commands_start_without_heavy_packages(command: list[str]) -> None:
    line = [sys.executable, "-X", "importtime", "-m", "kedro", *command]
    result = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True, timeout=200)
    assert "kedro" in imported(result.stderr)
    assert imported(result.stderr) & set(HEAVY) == set()


@pytest.mark.slow
def test_viz_starts_without_heavy_packages(built: tuple[Path, str]) -> None:
    assert "kedro_viz" in imported(built[1])
    assert imported(built[1]) & set(HEAVY) == set()


@pytest.mark.slow
def test_build_has_all_pipelines_layers_and_previews(built: tuple[Path, str]) -> None:
    shown = json.loads((built[0] / "api/main").read_text())
    assert {pipeline["id"] for pipeline in shown["pipelines"]} >= {"__default__", *DEFAULT_PIPELINES}
    # Kedro-Viz leaves the layers out where they run in a circle.
    layers = [layer for layer in shown["layers"] if layer != "weights"]
    assert layers == ["intermediate", "primary", "models", "model output", "reporting"]
    details = [json.loads(file.read_text()) for file in (built[0] / "api/nodes").iterdir()]
    tables = [entry["preview"] for entry in details if entry.get("filepath", "").endswith("sft_history.csv")]
    assert tables
    assert "denoising_loss" in tables[0]["columns"]


@pytest.fixture
def address(built: tuple[Path, str]) -> Iterator[str]:
    """The build, served to a browser."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    handler = functools.partial(Quiet, directory=str(built[0]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here: .ci/run installs it")
def test_browser_draws_the_figure(address: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1600,1000"),
            *(f"--user-data-dir={tmp_path}", "--virtual-time-budget=15000", "--dump-dom", address),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    drawn = set(re.findall(r'class="pipeline-node__text"[^>]*>([^<]*)', result.stdout))
    assert drawn >= set(FIGURE)
    assert {"simulated_clips_train", "backbone", "heads", "sft_models", "rl_models", "report"} <= drawn
    assert not any(name.endswith("_node") for name in drawn)  # collapsed
