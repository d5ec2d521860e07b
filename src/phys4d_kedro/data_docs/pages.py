"""Checked suites as static pages that need no network."""

import re
import shutil
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from phys4d_kedro.clips.expectations import Suite, quiet_context, result_format

_SITE = "data_docs"
_STYLE = Path(__file__).with_name("style.css")
# The pages of Great Expectations take styles, fonts, scripts and pictures from other hosts.
_REMOTE = re.compile(
    r"<script[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>|<(?:link|img)\b[^>]*\b(?:href|src)=[\"']https?://[^>]*>"
)

_INDEX = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Data docs</title><style>
{style}</style></head>
<body><div class="container"><h1>Data docs</h1>
{table}
</div></body>
</html>
"""


def write_pages(suites: Mapping[str, Sequence[Suite]], folder: Path) -> tuple[Path, list[str]]:
    """Validate suites, by the name of the data that each is of, and write a page each.

    Returns:
        The first page, and the names of the data that fail.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    context = quiet_context()
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    for name in list(context.get_site_names()):
        context.delete_data_docs_site(name)
    builder = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        _SITE, {"class_name": "SiteBuilder", "store_backend": backend, "site_index_builder": builder}
    )
    failing = []
    for data, checked in suites.items():
        for suite in checked:
            name = data if suite.name == "clips" else f"{data}-{suite.name}"  # a dot would make folders
            if not _validate(context, suite, name):
                failing.append(name)
    context.build_data_docs(site_names=[_SITE])
    for page in folder.rglob("*.html"):
        page.write_text(_offline(page.read_text(encoding="utf-8")), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(folder, failing), encoding="utf-8")
    return index, failing


def _validate(context: Any, suite: Suite, name: str) -> bool:
    """Put a suite and what comes of it into the stores that pages are made of. Says whether it passes."""
    import great_expectations as gx

    asset = context.data_sources.add_pandas(name).add_dataframe_asset(suite.name)
    batch = asset.add_batch_definition_whole_dataframe("whole")
    expected = context.suites.add(gx.ExpectationSuite(name=name, expectations=_copies(suite.expectations)))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=expected))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name=name, validation_definitions=[definition], result_format=result_format(suite))
    )
    return bool(checkpoint.run(batch_parameters={"dataframe": suite.table}).success)


def _copies(expectations: Sequence[Any]) -> list[Any]:
    """Expectations that belong to no suite yet."""
    return [type(expectation)(**expectation.configuration.kwargs) for expectation in expectations]


def _index(folder: Path, failing: Sequence[str]) -> str:
    """The first page. That of Great Expectations is drawn by scripts of other hosts."""
    rows = []
    for page in sorted(folder.glob("validations/**/*.html")):
        link = page.relative_to(folder).as_posix()
        name = page.relative_to(folder).parts[1]
        mark = '<td class="text-danger">fails</td>' if name in failing else '<td class="text-success">passes</td>'
        rows.append(f'<tr><td><a href="{quote(link)}">{escape(name)}</a></td>{mark}</tr>')
    table = "\n".join(["<table>", "<tr><th>Data</th><th>Expectations</th></tr>", *rows, "</table>"])
    return _INDEX.format(style=_STYLE.read_text(encoding="utf-8"), table=table)


def _offline(page: str) -> str:
    """A page without what it would load from elsewhere, in a style of its own."""
    style = f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>"
    return _REMOTE.sub("", page).replace("</head>", style, 1)
