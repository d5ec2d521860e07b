"""Video diffusion backbones: one interface (`base`), a file a family."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import read_model_index, resolve_folder

if TYPE_CHECKING:
    from phys4d_kedro.world_model.backbones.base import Backbone

FAMILIES = {
    "Wan": "wan.WanBackbone",
    "CogVideoX": "cogvideox.CogVideoXBackbone",
    "OpenSora": "opensora.OpenSoraBackbone",
}


def load_backbone(source: str | Path, loading: LoadingConfig | None = None) -> "Backbone":
    """The model of a folder in diffusers layout or a hub id, of the family that its model_index.json names.

    Raises:
        CheckpointError: the folder is missing, partial or of no known family, or the hub cannot be reached.
    """
    folder = resolve_folder(source)
    pipeline = str(read_model_index(folder).get("_class_name"))
    for family, path in FAMILIES.items():
        if pipeline.startswith(family):
            module, name = path.split(".")
            backbone: Backbone = getattr(import_module(f"{__name__}.{module}"), name)(folder, loading)
            return backbone
    raise CheckpointError(f"{folder} holds a {pipeline}; there are backbones of the families {', '.join(FAMILIES)}")
