"""A data set in the official layout with the videos of two seeds, and a config that scores them."""

from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqConfig
from tests.evaluation.physics_iq.official_set import SECONDS, Configure, OfficialSet


@pytest.fixture
def official(tmp_path: Path) -> OfficialSet:
    """The data set alone."""
    return OfficialSet(tmp_path / "physics-iq", tmp_path / "generated").write()


@pytest.fixture
def configure(official: OfficialSet, tmp_path: Path) -> Configure:
    """A config of the data set and what was generated for it."""

    def config(**changes: Any) -> PhysicsIqConfig:
        values = {
            "dataset_dir": str(official.root),
            "generated_dir": str(official.generated),
            "output": str(tmp_path / "out" / "scores.json"),
            "cache_dir": str(tmp_path / "cache"),
            "seconds": SECONDS,
            "jobs": 1,
        }
        return PhysicsIqConfig(**(values | changes))

    return config
