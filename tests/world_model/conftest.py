"""The forms of all families of backbones, each written once a session, and a tiny Wan backbone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone, Condition
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from tests.factories import make_clip
from tests.world_model.families import FORMS, PROMPTS, SIZE, TINY, Form, first_frames, video


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny_wan")
    build_nano_wan(folder, TINY, prompts=PROMPTS, seed=0)
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    folder = tmp_path_factory.mktemp("clips")
    write_shards([make_clip(i) for i in range(6)], str(folder), clips_per_shard=4)
    return ClipStore(str(folder))


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Form], Path]:
    """The folder of a form, built when first asked for."""
    built: dict[str, Path] = {}

    def folder(form: Form) -> Path:
        if form.name not in built:
            built[form.name] = tmp_path_factory.mktemp("form")
            form.build(built[form.name])
        return built[form.name]

    return folder


@pytest.fixture(scope="module", params=FORMS, ids=lambda form: form.name)
def form(request: pytest.FixtureRequest) -> Form:
    return request.param


@pytest.fixture(scope="module")
def folder(form: Form, folder_of: Callable[[Form], Path]) -> Path:
    return folder_of(form)


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Backbone:
    """Shared: not to be changed."""
    return load_backbone(folder)


@pytest.fixture(scope="module")
def condition(form: Form, backbone: Backbone) -> Condition:
    return backbone.encode_condition(PROMPTS[:1], first_frames(form), frames=SIZE["frames"])


@pytest.fixture(scope="module")
def latents(backbone: Backbone) -> torch.Tensor:
    return backbone.encode_video(video())
