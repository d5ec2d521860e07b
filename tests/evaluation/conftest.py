"""A tiny backbone whose samples depend on its adapter, stages of it, and a few clips, written once a session."""

from pathlib import Path

import pytest

from tests.world_model.conftest import clips
from tests.world_model.families import FORMS
from tests.world_model.tiny_stages import write_stages

__all__ = ["clips"]


@pytest.fixture(scope="session")
def random_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random_wan")
    FORMS[0].build(folder)
    return folder


@pytest.fixture(scope="session")
def stages(random_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of two seeds each; see `write_stages`."""
    return write_stages(random_backbone, tmp_path_factory.mktemp("stages"))
