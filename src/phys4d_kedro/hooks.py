"""What happens around every run: early errors a user can act on, its circumstances logged, nodes timed."""

import logging
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines as project_pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from phys4d_kedro.datasets.pretrained_model import PretrainedModelDataset
from phys4d_kedro.errors import ConfigurationError, MissingInputError, Phys4DError
from phys4d_kedro.training import run_metadata

logger = logging.getLogger(__name__)

_REPORTED_PACKAGES = ("phys4d_kedro", "torch", "diffusers", "mujoco", "warp-lang", "numpy", "kedro")
DURATIONS = "node_durations"


class ProjectHooks:
    """Kedro hooks of this project."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._seed: int | None = None
        self._root = Path.cwd()
        self._catalog: CatalogProtocol | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Take note of seed and folder; from here on, errors made for users come without a traceback."""
        show_user_errors_without_traceback()
        self._root = Path(context.project_path)
        loader = context.config_loader
        self._seed = (loader.runtime_params or {}).get("seed", loader["globals"].get("seed"))

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Log and declare the circumstances; report every missing input at once, and outputs that nothing may write.

        Raises:
            MissingInputError: inputs are missing.
            ConfigurationError: the run would train what is configured as a pretrained model.
        """
        logger.info(
            "seed %s, %d processors, %s %s; %s",
            self._seed,
            run_metadata.processors(),
            platform.system(),
            platform.machine(),
            ", ".join(f"{name} {number}" for name, number in run_metadata.versions(_REPORTED_PACKAGES).items()),
        )
        self._catalog = catalog
        if DURATIONS in catalog and not catalog.exists(DURATIONS):
            catalog.save(DURATIONS, {})
        if run_params.get("only_missing_outputs"):
            pipeline = _without_complete_nodes(pipeline, catalog)
        pretrained = dict(_pretrained(pipeline, catalog))
        if trained := sorted(pretrained.keys() & pipeline.all_outputs()):
            raise ConfigurationError(
                f"{', '.join(trained)}: a pretrained model in this environment, which no pipeline trains; name the "
                f"pipelines to run, such as --pipelines=pretrain,generation, and leave out the one that makes it "
                f"(docs/backbones.md)"
            )
        missing = sorted(
            name for name in pipeline.inputs() if not name.startswith("params:") and not catalog.exists(name)
        )
        if missing:
            project_pipelines.set_requested(None)
            raise MissingInputError(_explain_missing(missing, dict(project_pipelines), pretrained))
        parameters = {
            name: catalog.load(name)
            for name in sorted(pipeline.inputs())
            if name.startswith("params:") and name in catalog
        }
        run_metadata.declare(seed=self._seed, parameters=parameters, root=self._root)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Note when the node began."""
        self._started[node.name] = time.monotonic()

    @hook_impl
    def after_dataset_saved(self, node: Node) -> None:
        """Keep how long the node took, for the report; clips and models are made while they are saved."""
        if self._catalog is not None and DURATIONS in self._catalog:
            durations = self._catalog.load(DURATIONS) if self._catalog.exists(DURATIONS) else {}
            durations[node.name] = round(time.monotonic() - self._started[node.name], 2)
            self._catalog.save(DURATIONS, durations)


def _without_complete_nodes(pipeline: Pipeline, catalog: CatalogProtocol) -> Pipeline:
    """The nodes that `--only-missing-outputs` leaves to run."""
    names = [n.name for n in pipeline.nodes if not all(catalog.exists(output) for output in n.outputs)]
    return pipeline.filter(node_names=names) if names else Pipeline([])


def _pretrained(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[tuple[str, PretrainedModelDataset]]:
    """The datasets of a pipeline that are pretrained models."""
    for name in pipeline.datasets():
        dataset = catalog.get(name) if name in catalog else None
        if isinstance(dataset, PretrainedModelDataset):
            yield name, dataset


def _explain_missing(
    missing: Iterable[str], pipelines: dict[str, Pipeline], pretrained: Mapping[str, PretrainedModelDataset]
) -> str:
    """A message that names each missing input and what makes it."""
    lines, makers = [], []
    for name in missing:
        found = [p for p in pipelines if p != "__default__" and name in pipelines[p].all_outputs()]
        if name in pretrained:
            source = pretrained[name].source
            lines.append(
                f"- '{name}': the pretrained model {source} is not there; docs/backbones.md says how to get it"
            )
        elif not found:
            lines.append(f"- '{name}': no pipeline makes it; see its entry in conf/base/catalog*.yml")
        else:
            lines.append(f"- '{name}': `kedro run --pipeline={found[0]}` makes it")
            makers.append(found[0])
    if len(set(makers)) > 1:
        lines.append(f"All of them: `kedro run --pipelines={','.join(dict.fromkeys(makers))}`")
    return "Inputs of this run do not exist yet:\n" + "\n".join(lines)


def show_user_errors_without_traceback() -> None:
    """Print errors made for users as their message alone; any other exception keeps its traceback."""
    previous = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, Phys4DError):
            cause = cause.__cause__  # Kedro wraps what datasets raise
        if cause is None:
            previous(kind, error, trace)
        else:
            logger.error("%s: %s", type(cause).__name__, cause)

    if not getattr(previous, "shows_user_errors", False):
        show.shows_user_errors = True  # type: ignore[attr-defined]
        sys.excepthook = show
