"""Trials of a sweep as Kedro runs: each reads a configuration of its own, in which its outputs go to its own folder.

The configuration is whole, in files: `kedro run --conf-source=<trial>/conf --pipelines=...` makes the trial again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from kedro.config import OmegaConfigLoader
from kedro.framework.project import pipelines as project_pipelines
from kedro.framework.session import KedroSession
from kedro.pipeline import Pipeline
from kedro.validation import TypeExtractor

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.parameter_checks import ParameterFiles, Place, check_parameters
from phys4d_kedro.sweeps.config import Objective, SweepConfig
from phys4d_kedro.sweeps.space import Values, extremes, with_values

# Keyed by content, so that trials may share it, and do not encode the same clips again.
_SHARED_TYPE = "phys4d_kedro.datasets.latent_cache.LatentCacheDataset"
_PLACES = ("checkpoint_dir", "output")
"""Parameters that say where something is written."""


class KedroTrials:
    """Prepares runs of some pipelines, in an environment, with parameters that all trials share.

    Raises:
        ConfigurationError: there is no such pipeline, or the parameters are wrong before any is searched.
    """

    def __init__(self, project: Path, names: Sequence[str], env: str | None, shared: Mapping[str, Any]) -> None:
        if unknown := sorted(set(names) - set(project_pipelines)):
            raise ConfigurationError(
                f"--pipeline: there is no pipeline '{unknown[0]}'; there are: {', '.join(sorted(project_pipelines))}"
            )
        project_pipelines.set_requested(list(names))  # parameters are checked by what these read
        self._models = TypeExtractor(dict(project_pipelines)).extract_types_from_pipelines()
        self._project, self._names, self._environments = project, list(names), ("base", env or "local")
        self._pipeline = sum((project_pipelines[name] for name in names), Pipeline([]))
        context = KedroSession.create(
            project_path=project, save_on_close=False, env=env, runtime_params=dict(shared)
        ).load_context()
        _ = context.params  # raises
        loader = cast(OmegaConfigLoader, context.config_loader)
        # What has no dot, such as the seed, is one of the globals; Kedro has put it among the parameters.
        plain = {name: value for name, value in shared.items() if not isinstance(value, Mapping)}
        self._globals: dict[str, Any] = loader["globals"] | plain
        self._parameters = {name: value for name, value in loader["parameters"].items() if name not in plain}
        self._catalog = {name: entry for name, entry in loader["catalog"].items() if not name.startswith("_")}

    def check(self, sweep: SweepConfig, file: Path) -> None:
        """Try every bound and choice by itself, beside what is configured, and look for the objectives' files.

        Raises:
            ConfigurationError: the pipelines do not read a parameter, a value is not valid, or nothing writes a file.
        """
        inputs = self._pipeline.inputs()
        read = sorted({n.removeprefix("params:").partition(".")[0] for n in inputs if n.startswith("params:")})
        for name in sweep.parameters:
            if name.partition(".")[0] not in read:
                raise ConfigurationError(
                    f"{file}: parameters.{name}: {', '.join(self._names)} does not read it, but {', '.join(read)}"
                )
        places = ParameterFiles({tuple(name.split(".")): Place(str(file)) for name in sweep.parameters})
        for name, values in extremes(sweep.parameters):
            try:
                check_parameters(with_values(self._parameters, values), self._models, places)
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"{file}: parameters.{name}: {values[name]!r} cannot be used. {error}"
                ) from error
        for objective in sweep.objectives:
            self._check_objective(objective, file)

    def __call__(self, folder: Path, values: Values) -> tuple[list[str], dict[str, str]]:
        """Write the configuration of a trial; the command that runs it, and its variables.

        Raises:
            ConfigurationError: the values are not valid together.
        """
        parameters = with_values(self._parameters, values)
        check_parameters(parameters, self._models, ParameterFiles())
        conf = folder / "conf"
        shared = self._pipeline.inputs()
        for name, content in {
            "base/catalog": {
                name: entry if name in shared or entry["type"] == _SHARED_TYPE else _redirected(entry, folder)
                for name, entry in self._catalog.items()
            },
            "base/parameters": _redirected_parameters(parameters, folder),
            "base/globals": self._globals,
            "logging": self._logging(folder),
        }.items():
            file = conf / f"{name}.yml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        self._link_credentials(conf / "local")
        command = ["kedro", "run", f"--conf-source={conf}", f"--pipelines={','.join(self._names)}"]
        return command, {"KEDRO_LOGGING_CONFIG": str(conf / "logging.yml")}

    def _check_objective(self, objective: Objective, file: Path) -> None:
        outputs = (self._catalog[name] for name in self._pipeline.all_outputs() if name in self._catalog)
        written = sorted(path for entry in outputs if (path := entry.get("filepath", "")).endswith((".json", ".csv")))
        if objective.file not in written:
            raise ConfigurationError(
                f"{file}: objectives: {objective.name}: {', '.join(self._names)} does not write '{objective.file}', "
                f"but {', '.join(written)}"
            )

    def _logging(self, folder: Path) -> dict[str, Any]:
        """The project's logging, with log files in the trial's folder."""
        logging: dict[str, Any] = yaml.safe_load((self._project / "conf/logging.yml").read_text(encoding="utf-8"))
        for handler in logging["handlers"].values():
            if "filename" in handler:
                handler["filename"] = str(folder / Path(handler["filename"]).name)
        return logging

    def _link_credentials(self, folder: Path) -> None:
        """Secrets are not copied."""
        folder.mkdir(parents=True, exist_ok=True)
        for environment in self._environments:
            for file in (self._project / "conf" / environment).glob("credentials*.y*ml"):
                (folder / f"credentials_{environment}_{file.name}").symlink_to(file)


def _redirected(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """An entry of the catalog with its place in `folder`."""
    return {**entry, **{key: _inside(folder, entry[key]) for key in ("filepath", "path") if key in entry}}


def _redirected_parameters(parameters: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Parameters with the places that something is written to in `folder`."""
    return {
        key: _redirected_parameters(value, folder)
        if isinstance(value, Mapping)
        else _inside(folder, value)
        if key in _PLACES and isinstance(value, str)
        else value
        for key, value in parameters.items()
    }


def _inside(folder: Path, path: str) -> str:
    """The path below the folder; `s3://bucket/file` becomes `bucket/file` there."""
    return str(folder / path.rpartition("://")[2].lstrip("/"))
