"""The documents point at files that exist, and list the data sets that there are."""

import re
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project, pipelines

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "conf/README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text())
    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert broken == []


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for file in DOCUMENTS for name in re.findall(r"(?:`|^)make ([a-z]+)", file.read_text(), re.MULTILINE)}
    assert named
    assert named <= targets


def test_data_flow_lists_every_data_set_with_its_file_and_maker() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| ([^|]*) \|", (ROOT / "docs/data_flow.md").read_text(), re.MULTILINE)
    catalog = OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="local")["catalog"]
    configure_project("phys4d_kedro")
    makers = {
        output: name
        for name, pipeline in pipelines.items()
        if name != "__default__"
        for output in pipeline.all_outputs()
    }
    expected = {
        (name, entry.get("filepath") or entry["path"], f"`{makers[name]}`" if name in makers else "the project's hooks")
        for name, entry in catalog.items()
        if not name.startswith("_")
    }
    assert {(name, path, maker.strip()) for name, path, maker in rows} == expected


def test_the_catalogue_of_scenes_is_that_of_the_code() -> None:
    from phys4d_kedro.simulation.catalogue import catalogue

    assert (ROOT / "docs/scenes.md").read_text() == catalogue()
