"""The documents point at what exists: files, headings, targets, and runs that Kedro can do; they list all data sets."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from documents import DOCUMENTS, ROOT, commands
from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project, pipelines
from kedro.validation import TypeExtractor
from pydantic import BaseModel

from phys4d_kedro.pipeline_registry import DEFAULT_PIPELINES


def slugs(document: Path) -> set[str]:
    """Anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"^( *)```.*?^\1```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def kedro_runs() -> list[tuple[str, list[str]]]:
    """Options of every `kedro run` of the documents, with the document's name. `<...>` becomes `...`."""
    return [
        (document.name, shlex.split(re.sub("<[^>]*>", "...", command.removeprefix("kedro run"))))
        for document in DOCUMENTS
        for command in commands(document)
        if re.match("kedro run( |$)", command)
    ]


def parameter_fields() -> set[str]:
    """Dotted names of all fields of the parameters' models."""

    def inside(annotation: Any) -> Iterator[str]:
        for candidate in (annotation, *get_args(annotation)):
            if inspect.isclass(candidate) and issubclass(candidate, BaseModel):
                for name, field in candidate.model_fields.items():
                    yield name
                    yield from (f"{name}.{below}" for below in inside(field.annotation))

    models = TypeExtractor(dict(pipelines)).extract_types_from_pipelines()
    return {f"{key}.{field}" for key, model in models.items() for field in inside(model)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        if "://" in link:
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in slugs(target)):
            broken.append(link)
    assert broken == []


def test_the_index_lists_every_page() -> None:
    docs = ROOT / "docs"
    listed = set(re.findall(r"\]\(([^)#]+\.md)\)", (docs / "index.md").read_text()))
    pages = {str(page.relative_to(docs)) for page in docs.glob("**/*.md")} - {"index.md"}
    assert pages <= listed


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {n for file in DOCUMENTS for n in re.findall(r"(?:`|^)make ([a-z-]+)", file.read_text(), re.MULTILINE)}
    assert "viz-build" in named
    assert named <= targets


def test_runs_of_the_documents_name_what_exists() -> None:
    configure_project("phys4d_kedro")
    nodes = [node for pipeline in pipelines.values() for node in pipeline.nodes]
    names = [node.name for node in nodes]
    known = {
        "pipeline": set(pipelines),
        "pipelines": set(pipelines),
        "env": {folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()},
        "tags": {tag for node in nodes for tag in node.tags},
        "from-nodes": set(names),
        "to-outputs": {output for node in nodes for output in node.outputs},
        "namespaces": {name.rsplit(".", depth)[0] for name in names for depth in (1, 2)},
    }
    # A seed for all; and the tutorial shows what a misspelt field does.
    fields = parameter_fields() | {"seed", "pretrain.haed"}
    runs, wrong = kedro_runs(), []
    assert len(runs) > 20
    for document, options in runs:
        for option in options:
            name, _, value = option.removeprefix("--").partition("=")
            named = set(re.split(r",(?![^\[]*\])", value)) - {"..."}
            if name == "params":
                unknown = {pair.partition("=")[0] for pair in named} - fields
            else:
                unknown = named - known[name] if name in known else {option}
            wrong += [f"{document}: {option}: {sorted(unknown)}"] if unknown else []
    assert wrong == []


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


def test_the_picture_of_the_architecture_shows_every_pipeline_of_a_plain_run() -> None:
    picture = ElementTree.parse(ROOT / "docs/images/architecture.svg")
    shown = [text.text for text in picture.iterfind(".//{*}text[@class='name']")]
    assert sorted(filter(None, shown)) == sorted(DEFAULT_PIPELINES)
