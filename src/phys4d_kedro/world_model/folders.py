"""Model folders in diffusers layout: found, checked and fingerprinted before anything is loaded."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from phys4d_kedro.errors import CheckpointError

_COMPONENTS = ("transformer", "vae", "text_encoder", "tokenizer")


def resolve_folder(source: str | Path) -> Path:
    """The folder itself, or the local snapshot of a hub id (downloaded when needed).

    Raises:
        CheckpointError: there is no such folder, and it is no hub id that can be reached.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    name = str(source)
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise CheckpointError(f"there is no model folder '{source}', and it is no hub id (owner/name) either")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["model_index.json", *(f"{part}/*" for part in _COMPONENTS), "scheduler/*"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"'{name}' is no local folder and could not be fetched from the hub ({type(error).__name__}); check the "
            f"name and the network, or download it once and give the folder"
        ) from error


def read_model_index(folder: Path, *, family: str = "") -> dict[str, Any]:
    """model_index.json of a complete pipeline folder of the family ('Wan', ...; none: of any).

    Raises:
        CheckpointError: the file or a component is missing, or the folder holds another family.
    """
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is missing or damaged ({type(error).__name__}): a backbone is a folder in diffusers layout; "
            f"kedro run --pipeline=backbone makes one"
        ) from error
    if not str(index.get("_class_name", "")).startswith(family):
        raise CheckpointError(f"{folder} holds a {index.get('_class_name')}, not a {family} pipeline")
    missing = [part for part in _COMPONENTS if not (folder / part).is_dir()]
    if missing:
        raise CheckpointError(f"{folder} is partial: it has no {', '.join(missing)}")
    return dict(index)


def component_fingerprint(folder: Path, components: tuple[str, ...]) -> str:
    """SHA-256 over names and bytes of all files of the components' subfolders."""
    digest = hashlib.sha256()
    for component in components:
        for path in sorted((folder / component).rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(folder)}:{path.stat().st_size}".encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def write_with_component(source: Path, component: str, model: Any, target: Path) -> None:
    """Write a copy of the pipeline folder `source` to `target`, with `model` in the place of one component."""
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(component))
    model.save_pretrained(target / component)


def write_copy(source: Path, target: Path) -> None:
    """Write a copy of a model folder."""
    shutil.copytree(source, target, dirs_exist_ok=True)
