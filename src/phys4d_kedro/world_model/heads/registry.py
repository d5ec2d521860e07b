"""Heads by the name of their kind, and from a folder."""

import json
from pathlib import Path

from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.world_model.heads.base import Head
from phys4d_kedro.world_model.heads.conv import ConvHead
from phys4d_kedro.world_model.heads.dpt import DptHead
from phys4d_kedro.world_model.heads.linear import LinearHead

HEADS: dict[str, type[Head]] = {"linear": LinearHead, "conv": ConvHead, "dpt": DptHead}


def load_head(folder: Path) -> Head:
    """The head that `save_pretrained` wrote to `folder`, ready for use.

    Raises:
        CheckpointError: there is none, or it cannot be loaded.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"there is no head in {folder}; kedro run --pipeline=pretrain makes one")
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["_class_name"]
        classes = {head.__name__: head for head in HEADS.values()}
        return classes[kind].from_pretrained(folder, local_files_only=True).eval()
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"the head in {folder} cannot be loaded: {error}") from error
