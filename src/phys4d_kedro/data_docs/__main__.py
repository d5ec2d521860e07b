"""`python -m phys4d_kedro.data_docs`: look again at everything that quality gates check, and write pages of it."""

import argparse
import logging
from pathlib import Path
from typing import cast

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from phys4d_kedro.clips.expectations import Suite, recorded
from phys4d_kedro.data_docs.pages import write_pages
from phys4d_kedro.errors import Phys4DError
from phys4d_kedro.pipelines.quality import is_gate

logger = logging.getLogger(__name__)


def collect_suites(catalog: CatalogProtocol, gates: list[Node]) -> dict[str, list[Suite]]:
    """What gates check, by the first thing that each makes; gates whose inputs are not there are left out."""
    found = {}
    for node in gates:
        name = node.outputs[0].removesuffix("_quality")
        missing = [entry for entry in node.inputs if not _is_there(entry, catalog)]
        if missing:
            logger.info("%s: not there yet (%s)", name, ", ".join(missing))
            continue
        with recorded() as suites:
            try:
                node.run({entry: catalog.load(entry) for entry in node.inputs})
            except Phys4DError as error:  # the page says it too, where a suite does
                logger.warning("%s: %s", name, error)
        if suites:
            found[name] = suites
    return found


def _is_there(name: str, catalog: CatalogProtocol) -> bool:
    return name in catalog and (name.startswith("params:") or catalog.exists(name))


def _gates() -> list[Node]:
    """Every gate of the project, once."""
    nodes = {node.name: node for pipeline in dict(pipelines).values() for node in pipeline.nodes}
    return [node for node in nodes.values() if is_gate(node.func)]


def main() -> None:
    """Write the pages, and say where they are and what fails."""
    parser = argparse.ArgumentParser(prog="python -m phys4d_kedro.data_docs", description=__doc__)
    parser.add_argument("--env", help="configuration environment (default: local)")
    parser.add_argument("--folder", type=Path, default=Path("data/08_reporting/data_docs"), help="where pages go")
    options = parser.parse_args()
    bootstrap_project(Path.cwd())
    with KedroSession.create(env=options.env) as session:
        context = cast(KedroSession, session).load_context()
        page, failing = write_pages(collect_suites(context.catalog, _gates()), options.folder)
    if failing:
        logger.warning("these do not pass: %s", ", ".join(failing))
    print(f"Data docs: {page.resolve()}")  # noqa: T201


if __name__ == "__main__":
    main()
