"""Kedro's context with this project's check of parameters."""

from pathlib import Path
from typing import Any, cast

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.validation import TypeExtractor

from phys4d_kedro.parameter_checks import ParameterFiles, check_parameters


class ProjectContext(KedroContext):
    """Parameters are checked as soon as they are read, by the type hints of the requested pipelines' nodes.

    Kedro's own check does not say where a value is written, and fails where one node takes the parameters of a stage
    and another a part of them.
    """

    @property
    def params(self) -> dict[str, Any]:
        """The parameters, with models in the places that nodes ask for. Raises ConfigurationError."""
        loader = cast(OmegaConfigLoader, self.config_loader)
        files = ParameterFiles.read(
            Path(loader.conf_source),
            environments=[loader.base_env, loader.env or loader.default_run_env],
            patterns=loader.config_patterns["parameters"],
            runtime=loader.runtime_params or {},
        )
        models = TypeExtractor(dict(pipelines)).extract_types_from_pipelines()
        return check_parameters(loader["parameters"], models, files)
