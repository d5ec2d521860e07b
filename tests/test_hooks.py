"""Hooks around a run: missing inputs, circumstances, durations, and errors without a traceback."""

import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kedro.framework.hooks import _create_hook_manager
from kedro.framework.project import configure_project
from kedro.framework.project import pipelines as project_pipelines
from kedro.io import AbstractDataset, DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset

from phys4d_kedro.datasets.pretrained_model import PretrainedModelDataset
from phys4d_kedro.errors import ConfigurationError, InvalidClipError, MissingInputError
from phys4d_kedro.hooks import DURATIONS, ProjectHooks, show_user_errors_without_traceback


def double(value: int) -> int:
    """Twice the value."""
    return 2 * value


def add(first: int, second: int) -> int:
    """The sum."""
    return first + second


PIPELINES = {
    "ingestion": Pipeline([node(double, "raw", "clips", name="double_raw_node")]),
    "backbone": Pipeline([node(double, "clips", "model", name="double_clips_node")]),
    "evaluation": Pipeline([node(add, ["clips", "model"], "metrics", name="add_node")]),
}


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pipelines above as those of the project."""
    monkeypatch.setattr("phys4d_kedro.pipeline_registry.register_pipelines", lambda: dict(PIPELINES))
    configure_project("phys4d_kedro")
    yield
    monkeypatch.undo()
    configure_project("phys4d_kedro")


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    """Every dataset of the pipelines above as a file that does not exist yet."""
    names = ("raw", "clips", "model", "metrics", DURATIONS)
    return DataCatalog({name: JSONDataset(filepath=str(tmp_path / f"{name}.json")) for name in names})


def before(pipeline: Pipeline, catalog: DataCatalog, **params: object) -> None:
    """What Kedro calls before it runs a pipeline."""
    ProjectHooks().before_pipeline_run(run_params=params, pipeline=pipeline, catalog=catalog)


@pytest.mark.usefixtures("registered")
def test_all_missing_inputs_are_reported_with_their_makers(catalog: DataCatalog) -> None:
    project_pipelines.set_requested(["evaluation"])
    with pytest.raises(MissingInputError) as caught:
        before(PIPELINES["evaluation"], catalog)
    text = str(caught.value)
    assert "'clips': `kedro run --pipeline=ingestion` makes it" in text
    assert "'model': `kedro run --pipeline=backbone` makes it" in text
    assert "`kedro run --pipelines=ingestion,backbone`" in text


@pytest.mark.usefixtures("registered")
def test_input_that_no_pipeline_makes_points_at_the_catalog(catalog: DataCatalog) -> None:
    with pytest.raises(MissingInputError, match=r"'raw': no pipeline makes it; see its entry"):
        before(PIPELINES["ingestion"], catalog)


@pytest.mark.usefixtures("registered")
def test_a_pretrained_model_is_neither_made_nor_trained(catalog: DataCatalog, tmp_path: Path) -> None:
    catalog["model"] = PretrainedModelDataset(source=str(tmp_path / "wan"))
    catalog.save("clips", 3)
    with pytest.raises(
        MissingInputError, match=r"'model': the pretrained model .*/wan is not there; docs/backbones.md"
    ):
        before(PIPELINES["evaluation"], catalog)
    with pytest.raises(ConfigurationError, match="model: a pretrained model in this environment"):
        before(PIPELINES["backbone"] + PIPELINES["evaluation"], catalog)


@pytest.mark.usefixtures("registered")
def test_a_part_of_a_pipeline_is_checked_by_its_own_inputs(catalog: DataCatalog) -> None:
    whole = PIPELINES["ingestion"] + PIPELINES["backbone"] + PIPELINES["evaluation"]
    catalog.save("clips", 3)
    before(whole.filter(from_nodes=["double_clips_node"]), catalog)
    with pytest.raises(MissingInputError, match="'model'"):
        before(whole.filter(node_names=["add_node"]), catalog)


@pytest.mark.usefixtures("registered")
def test_only_missing_outputs_needs_no_inputs_of_complete_nodes(catalog: DataCatalog) -> None:
    whole = PIPELINES["ingestion"] + PIPELINES["backbone"]
    catalog.save("clips", 3)
    with pytest.raises(MissingInputError, match="'raw'"):
        before(whole, catalog)
    before(whole, catalog, only_missing_outputs=True)
    catalog.save("model", 6)
    before(whole, catalog, only_missing_outputs=True)


@pytest.mark.usefixtures("registered")
def test_parameters_and_memory_inputs_count_as_present(catalog: DataCatalog) -> None:
    catalog["params:count"] = 2
    catalog["raw"] = MemoryDataset(1)
    pipeline = Pipeline([node(add, ["raw", "params:count"], "clips", name="add_node")])
    before(pipeline, catalog)


def test_durations_of_nodes_are_kept_over_runs(catalog: DataCatalog) -> None:
    hooks = ProjectHooks()
    manager = _create_hook_manager()
    manager.register(hooks)
    catalog.save("raw", 2)
    for name in ("ingestion", "backbone"):
        hooks.before_pipeline_run(run_params={}, pipeline=PIPELINES[name], catalog=catalog)
        SequentialRunner().run(PIPELINES[name], catalog, hook_manager=manager)
    durations = catalog.load(DURATIONS)
    assert set(durations) == {"double_raw_node", "double_clips_node"}
    assert all(0 <= seconds < 60 for seconds in durations.values())


class SlowDataset(AbstractDataset[int, int]):
    """Does its work while it is saved, as clip shards and models do."""

    def load(self) -> int:
        return 0

    def save(self, data: int) -> None:
        time.sleep(0.2)

    def _describe(self) -> dict[str, str]:
        return {}


def test_work_done_while_saving_counts(catalog: DataCatalog) -> None:
    hooks = ProjectHooks()
    manager = _create_hook_manager()
    manager.register(hooks)
    catalog.save("raw", 2)
    catalog["clips"] = SlowDataset()
    hooks.before_pipeline_run(run_params={}, pipeline=PIPELINES["ingestion"], catalog=catalog)
    SequentialRunner().run(PIPELINES["ingestion"], catalog, hook_manager=manager)
    assert catalog.load(DURATIONS)["double_raw_node"] >= 0.2


def test_circumstances_are_logged(catalog: DataCatalog, caplog: pytest.LogCaptureFixture) -> None:
    catalog.save("raw", 2)
    with caplog.at_level(logging.INFO, logger="phys4d_kedro"):
        before(PIPELINES["ingestion"], catalog)
    assert "seed" in caplog.text
    assert "processors" in caplog.text
    assert "torch 2." in caplog.text


def test_user_errors_are_shown_without_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    others: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: others.append(error))
    show_user_errors_without_traceback()
    wrapped = DatasetError("Failed while loading data from dataset clips")
    wrapped.__cause__ = InvalidClipError("clip 'a': depth is NaN")
    sys.excepthook(DatasetError, wrapped, None)
    assert "InvalidClipError: clip 'a': depth is NaN" in caplog.text
    unexpected = RuntimeError("bug")
    sys.excepthook(RuntimeError, unexpected, None)
    assert others == [unexpected]
