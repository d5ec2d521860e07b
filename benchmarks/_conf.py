"""The project's configuration, for the benchmarks."""

from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader

ROOT = Path(__file__).parents[1]


def parameters(name: str) -> dict[str, Any]:
    """A pipeline's parameters as conf/base states them."""
    loader = OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="local")
    return dict(loader["parameters"][name])
