"""What is wrong with a sweep is said before the first trial: file, field and fix."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.project import configure_project, pipelines

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.sweep_trials import KedroTrials
from phys4d_kedro.sweeps.config import read_sweep
from phys4d_kedro.sweeps.studies import open_storage, open_study
from tests.sweeps.cheap import DISTANCE, HEIGHT, X, sweep

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(file.stem for file in (ROOT / "conf/base/sweeps").glob("*.yml"))
RATE = {"kind": "float", "low": 0.001, "high": 0.01, "log": True}
CHOICES = {"kind": "categorical", "choices": [1, 2]}
DEPTH = {**DISTANCE, "file": "metrics/sft_validation.csv", "value": "depth_loss"}


@pytest.fixture(scope="module")
def trials() -> Iterator[KedroTrials]:
    """Of stage 2, as the project configures it."""
    configure_project("phys4d_kedro")
    yield KedroTrials(ROOT, ["sft"], None, {})
    pipelines.set_requested(None)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_sweeps_that_ship_fit_their_pipelines(name: str) -> None:
    configure_project("phys4d_kedro")
    try:
        KedroTrials(ROOT, [name], None, {}).check(*read_sweep(name, ROOT / "conf", ["base", "local"]))
    finally:
        pipelines.set_requested(None)


@pytest.mark.parametrize(
    ("parameters", "objective", "message"),
    [
        ({"rl.kl_weight": X}, DEPTH, r"conf/my.yml: parameters.rl.kl_weight: sft does not read it, but sft, world"),
        (
            {"sft.loop.learning_rat": RATE},
            DEPTH,
            r"conf/my.yml: parameters.sft.loop.learning_rat: 0.001 cannot be used. Wrong parameters:\n"
            r"- conf/my.yml: unknown key 'sft.loop.learning_rat'; did you mean 'learning_rate'\?",
        ),
        ({"sft.lop.steps": CHOICES}, DEPTH, r"unknown key 'sft.lop'; did you mean 'loop'\?"),
        (
            {"sft.loop.learning_rate": {**RATE, "high": 0.0, "low": -1.0, "log": False}},
            DEPTH,
            r"conf/my.yml: sft.loop.learning_rate = -1.0: Input should be greater than 0. It is: ",
        ),
        ({"sft.loop.steps": {"kind": "categorical", "choices": [10, "many"]}}, DEPTH, r"'many' cannot be used"),
        (
            {"sft.loop.learning_rate": RATE},
            {**DEPTH, "file": "metrics/rl_history.csv"},
            r"conf/my.yml: objectives: distance: sft does not write 'metrics/rl_history.csv', but metrics/sft_history",
        ),
    ],
)
def test_what_the_pipeline_cannot_take_or_does_not_make(
    trials: KedroTrials, parameters: dict[str, Any], objective: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trials.check(sweep(parameters, objective), Path("conf/my.yml"))


def test_unknown_pipelines_and_shared_parameters() -> None:
    configure_project("phys4d_kedro")
    try:
        with pytest.raises(ConfigurationError, match=r"--pipeline: there is no pipeline 'sfd'; there are: .*, sft, "):
            KedroTrials(ROOT, ["sfd"], None, {})
        with pytest.raises(ConfigurationError, match=r"--params: sft.repeats = 'x': Input should be a valid integer"):
            KedroTrials(ROOT, ["sft"], None, {"sft": {"repeats": "x"}})
    finally:
        pipelines.set_requested(None)


def written(folder: Path, content: object) -> Path:
    """A folder of environments, one of which has the sweep `mine`."""
    (folder / "base/sweeps").mkdir(parents=True)
    (folder / "base/sweeps/mine.yml").write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return folder


def test_a_sweep_that_is_not_there(tmp_path: Path) -> None:
    conf = written(tmp_path, {})
    with pytest.raises(
        ConfigurationError, match=r"--sweep: there is no file .*base/sweeps/mnie.yml; did you mean 'min"
    ):
        read_sweep("mnie", conf, ["base", "local"])
    with pytest.raises(ConfigurationError, match=r"base/sweeps/other.yml; there are: mine\."):
        read_sweep("other", conf, ["base", "local"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("a: [", "is not valid YAML"),
        ({"parameters": {"x": {**X, "low": 11}}}, r"parameters.x.*`low <= high` must hold"),
        ({"parameters": {"x": {**X, "log": True}}}, r"parameters.x.*`low > 0` must hold"),
        ({"parameters": {"x": {**X, "kind": "flaot"}}}, r"parameters.x: .*'flaot'.*'float', 'int', 'categorical'"),
        ({"parameters": {"x": {**X, "hihg": 2}}}, r"parameters.x.float.hihg: Extra inputs are not permitted"),
        ({"parameters": {"x": {**X, "when": {"y": [1]}}, "y": CHOICES}}, r"parameters.x.when: 'y' must be one of"),
        ({"sampler": {"kind": "grid"}}, r"parameters.x: a grid needs a step, or a categorical"),
        ({"objectives": [DISTANCE, DISTANCE]}, r"objectives: names must differ"),
        ({"objectives": [DISTANCE, HEIGHT], "pruner": {"watch": "loss"}}, r"pruner: .* leave it out"),
        ({"objectives": [{**DISTANCE, "direction": "down"}]}, r"objectives.0.direction: .*'minimize' or 'maximize'"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, changed: object, message: str) -> None:
    content = {"parameters": {"x": X}, "objectives": [DISTANCE], **changed} if isinstance(changed, dict) else changed
    conf = written(tmp_path, content)
    with pytest.raises(ConfigurationError, match=rf"(?s)mine\.yml.*{message}"):
        read_sweep("mine", conf, ["base"])


def test_an_environment_has_its_own_sweeps(tmp_path: Path) -> None:
    conf = written(tmp_path, {"parameters": {"x": X}, "objectives": [DISTANCE]})
    (tmp_path / "large/sweeps").mkdir(parents=True)
    file = conf / "large/sweeps/mine.yml"
    file.write_text(yaml.safe_dump({"parameters": {"y": X}, "objectives": [DISTANCE]}))
    config, found = read_sweep("mine", conf, ["base", "large"])
    assert (list(config.parameters), found) == (["y"], file)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "sweeps.db",
            r"--storage=sweeps.db: neither a journal nor the URL of a database; give a file that ends in .log",
        ),
        ("nosuch://host/name", r"--storage=nosuch://host/name: the database cannot be opened \(Can't load plugin"),
        ("sqlite:////nowhere/at/all.db", r"the database cannot be opened \(.*unable to open database file"),
        ("postgresql+nosuch://me:secret@host/name", r"--storage=postgresql\+nosuch://\*\*\*@host/name: "),
        ("{}/text.log", r"text.log: no journal can be kept there \(.*; give a file"),
        ("{}/text.log/journal.log", r"text.log/journal.log: no journal can be kept there \(.*exists"),
    ],
)
def test_storages_that_cannot_be_used(tmp_path: Path, url: str, message: str) -> None:
    (tmp_path / "text.log").write_text("some text\nof another program\n")
    with pytest.raises(ConfigurationError, match=message) as caught:
        open_storage(url.format(tmp_path))
    assert "secret" not in str(caught.value)


def test_a_study_is_not_gone_on_with_by_another_question(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "journal.log"))
    open_study("mine", sweep({"x": X}), storage, {"pipelines": ["sft"]})
    open_study("mine", sweep({"x": X}, sampler={"kind": "random"}, retries=3), storage, {"pipelines": ["sft"]})
    with pytest.raises(ConfigurationError, match=r"study 'mine' was begun with other parameters, .*--study=<name>"):
        open_study("mine", sweep({"x": {**X, "high": 9}}), storage, {"pipelines": ["sft"]})
    with pytest.raises(ConfigurationError, match=r"study 'mine' was begun with other pipelines, "):
        open_study("mine", sweep({"x": X}), storage, {"pipelines": ["rl"]})
