"""Data docs: a page a suite, what fails named with its rows, nothing loaded from elsewhere."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import great_expectations.expectations as gxe
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset

from phys4d_kedro.clips.config import ClipExpectations
from phys4d_kedro.clips.expectations import Suite, check, recorded
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.data_docs.__main__ import collect_suites
from phys4d_kedro.data_docs.pages import write_pages
from phys4d_kedro.errors import DataQualityError
from phys4d_kedro.pipelines.quality import quality_node
from tests.factories import make_clip

FAILING = ["labeled_clips", "metrics-scores", "metrics-figures"]


def suite(most: float) -> Suite:
    table = pd.DataFrame({"clip_id": ["good", "clip-17"], "depth_max": [1.0, 9.0]})
    expected = [gxe.ExpectColumnValuesToBeBetween(column="depth_max", max_value=most)]
    return Suite("clips", "clips", "clip_id", table, expected)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    scores = replace(suite(5), name="scores")
    metrics = [scores, replace(scores, name="figures")]
    suites = {"real_clips": [suite(10)], "labeled_clips": [suite(5)], "metrics": metrics}
    return write_pages(suites, tmp_path_factory.mktemp("docs") / "site")


def test_the_first_page_leads_to_each_suite_and_says_which_fail(site: tuple[Path, list[str]]) -> None:
    index, failing = site
    assert failing == FAILING
    rows = re.findall(r'<a href="([^"]+)">([\w-]+)</a></td><td class="[\w-]+">(\w+)<', index.read_text())
    assert {(name, outcome) for _, name, outcome in rows} == {
        ("real_clips", "passes"),
        *((name, "fails") for name in FAILING),
    }
    for link, name, _ in rows:
        page = unescape((index.parent / link).read_text())
        assert "depth_max" in page
        assert ("clip-17" in page) == (name in FAILING)


def test_pages_load_nothing_from_elsewhere(site: tuple[Path, list[str]]) -> None:
    index, _ = site
    pages = list(index.parent.rglob("*.html"))
    assert len(pages) >= 5
    for page in pages:
        loaded = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"'](?:https?:)?//[^>]*>", page.read_text()
        )
        assert loaded == [], page


def test_what_a_check_looks_at_is_recorded_whether_it_passes_or_not() -> None:
    with recorded() as suites:
        check(suite(10))
        with pytest.raises(DataQualityError, match=r"depth_max: .*: clips clip-17"):
            check(suite(5))
    check(suite(10))
    assert len(suites) == 2


def test_gates_whose_data_is_there_are_looked_at(tmp_path: Path) -> None:
    write_shards([make_clip(i) for i in range(2)], str(tmp_path / "clips"), clips_per_shard=2)
    nodes = [quality_node(name, f"params:{name}", []) for name in ("here", "not_here")]
    data = {
        "here": MemoryDataset(ClipStore(str(tmp_path / "clips")), copy_mode="assign"),
        "not_here": MemoryDataset(),
        "params:here": MemoryDataset(ClipExpectations(min_clips=3)),
        "params:not_here": MemoryDataset(ClipExpectations()),
    }
    found = collect_suites(DataCatalog(data), nodes)
    assert list(found) == ["here"]
    assert found["here"][0].table["clip_id"].tolist() == [make_clip(i).clip_id for i in range(2)]
