"""Model folders in diffusers layout: found, checked and fingerprinted before anything is loaded."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phys4d_kedro.errors import CheckpointError

_REQUIRED = ("transformer", "vae", "text_encoder", "tokenizer")
_COMPONENTS = (*_REQUIRED, "scheduler", "image_encoder", "image_processor")  # that a backbone may load, and no others
_FILES = ("*.json", "*.safetensors", "*.model", "*.txt")  # of a component; no pickles, no second formats
_WEIGHTS = ("diffusion_pytorch_model", "model")  # as diffusers and transformers name them
_VOCABULARIES = ("tokenizer.json", "spiece.model", "vocab.json", "vocab.txt")
_LONGEST_HEADER = 100_000_000  # bytes, as the safetensors library has it
_LFS_POINTER = b"version "  # how the text file begins that git leaves in the place of a large one


def is_hub_id(source: str) -> bool:
    """Whether a name that is no folder has the form of a hub id: owner/name."""
    return source.count("/") == 1 and not source.startswith((".", "/"))


def resolve_folder(source: str | Path) -> Path:
    """The folder itself, or the local snapshot of a hub id (downloaded when needed).

    Raises:
        CheckpointError: there is no such folder, and it is no hub id that can be reached, or only a part of it is here.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    name = str(source)
    if not is_hub_id(name):
        raise CheckpointError(f"there is no model folder '{source}', and it is no hub id (owner/name) either")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # of whichever version the hub's client uses

    patterns = ["model_index.json", *(f"{part}/{file}" for part in _COMPONENTS for file in _FILES)]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HFValidationError, httpx.HTTPError, OSError) as error:
        raise CheckpointError(
            f"'{name}' is no local folder and could not be fetched from the hub ({type(error).__name__}); check the "
            f"name and the network (HF_HUB_OFFLINE=1 turns it off; gated models want `hf auth login`), or download it "
            f"once, `hf download {name}`, and give the folder"
        ) from error


def read_model_index(folder: Path, *, family: str = "") -> dict[str, Any]:
    """model_index.json of a complete pipeline folder of the family ('Wan', ...; none: of any).

    Every component that it lists and a backbone may load is looked at, in milliseconds: its files are there, and whole
    by their headers.

    Raises:
        CheckpointError: a file or a component is missing or damaged, or the folder holds another family.
    """
    path = folder / "model_index.json"
    index = _read_json(
        path, "a backbone is a folder in diffusers layout, a download or what kedro run --pipeline=backbone makes"
    )
    if not str(index.get("_class_name", "")).startswith(family):
        raise CheckpointError(f"{folder} holds a {index.get('_class_name')}, not a {family} pipeline")
    listed = dict(_listed(index))
    missing = [part for part in dict.fromkeys((*_REQUIRED, *listed)) if not (folder / part).is_dir()]
    if missing:
        raise CheckpointError(f"{folder} is partial: it has no {', '.join(missing)}; {_remedy(folder)}")
    for part, kind in listed.items():
        _check_component(folder / part, kind, _remedy(folder))
    return index


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
    """Write a copy of the pipeline folder `source` to `target`, with `model` in the place of one component.

    Its configuration does not say where the model was read from: a path of this machine, which would make folders of
    equal models differ.
    """
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(component))
    model.save_pretrained(target / component)
    path = target / component / "config.json"
    config = json.loads(path.read_text())
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write_copy(source: Path, target: Path) -> None:
    """Write a copy of a model folder."""
    shutil.copytree(source, target, dirs_exist_ok=True)


def _listed(index: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Components that an index lists, with their classes; an optional one that is left out is [null, null]."""
    for part in _COMPONENTS:
        entry = index.get(part)
        if isinstance(entry, list) and len(entry) == 2 and entry[1]:
            yield part, str(entry[1])


def _check_component(folder: Path, kind: str, remedy: str) -> None:
    """Raise CheckpointError unless the folder holds what a component of the class `kind` is loaded from."""
    if "Scheduler" in kind:
        _read_json(folder / "scheduler_config.json", remedy)
    elif "Tokenizer" in kind:
        _read_json(folder / "tokenizer_config.json", remedy)
        if not any((folder / name).is_file() for name in _VOCABULARIES):
            raise CheckpointError(f"{folder} has no vocabulary ({' or '.join(_VOCABULARIES)}); {remedy}")
    elif "Processor" in kind or "FeatureExtractor" in kind:
        _read_json(folder / "preprocessor_config.json", remedy)
    else:
        _read_json(folder / "config.json", remedy)
        for path in _weight_files(folder, remedy):
            _check_safetensors(path, remedy)


def _weight_files(folder: Path, remedy: str) -> list[Path]:
    """The files that a model's weights are loaded from: the shards of an index, or one file."""
    for name in _WEIGHTS:
        index = folder / f"{name}.safetensors.index.json"
        if index.is_file():
            shards = _read_json(index, remedy).get("weight_map")
            if not isinstance(shards, dict) or not shards:
                raise CheckpointError(f"{index} names no shards (weight_map); {remedy}")
            files = [folder / str(shard) for shard in sorted(set(shards.values()))]
            missing = [path.name for path in files if not path.is_file()]
            if missing:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise CheckpointError(
                    f"{folder} lacks {missing[0]}{more} of the {len(files)} shards in {index.name}; {remedy}"
                )
            return files
        if (folder / f"{name}.safetensors").is_file():
            return [folder / f"{name}.safetensors"]
    if any(folder.glob("*.bin")):
        raise CheckpointError(
            f"{folder} has its weights as *.bin alone, which can run code when they are loaded; save them as "
            f"safetensors (save_pretrained does)"
        )
    raise CheckpointError(
        f"{folder} has no weights ({' or '.join(f'{name}.safetensors' for name in _WEIGHTS)}); {remedy}"
    )


def _check_safetensors(path: Path, remedy: str) -> None:
    """Raise CheckpointError unless the file is as long as its header says; no tensor is read.

    The header: its length as a little-endian 64-bit number, then JSON with each tensor's place in what follows.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start == _LFS_POINTER:
            raise CheckpointError(f"{path} is a pointer of git-lfs, not the file; run `git lfs pull` in its repository")
        length = int.from_bytes(start, "little")
        text = file.read(length) if length <= min(size, _LONGEST_HEADER) else b""
    try:
        tensors = [tensor for name, tensor in json.loads(text).items() if name != "__metadata__"]
        end = 8 + length + max((int(tensor["data_offsets"][1]) for tensor in tensors), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: it has no header of safetensors; {remedy}") from error
    if size != end:
        fault = "truncated" if size < end else "damaged"
        raise CheckpointError(f"{path} is {fault}: it has {size} bytes, by its header {end}; {remedy}")


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is missing or damaged ({type(error).__name__}); {remedy}") from error


def _remedy(folder: Path) -> str:
    """How to make a folder whole; snapshots of the hub lie in models--<owner>--<name>/snapshots/<commit>."""
    repository = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repository.startswith("models--"):
        return f"run `hf download {'/'.join(repository.split('--')[1:])} --force-download`"
    return "download, copy or make it again"
