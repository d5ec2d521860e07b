"""Checkpoints: folders of safetensors and JSON that appear whole or not at all.

<directory>/step_00000200/
    <module>.safetensors        weights, one file a trained module
    <module>.ema.safetensors    their moving average, where there is one
    optimizer.safetensors       AdamW's moments, keyed <module>.<parameter>.<moment>
    state.json                  step, fingerprint of what is trained on what, loss curve and validations so far
    run.json                    what the run was that wrote it, see `run_metadata`, where that is known
<directory>/best_00000150/      of the best validation so far
    <module>.safetensors        weights as they were validated, averaged where there are averages

A better validation makes a folder of its own; the one before goes only once a checkpoint knows of the new one. So every
checkpoint finds the best weights that it speaks of, wherever a run is cut.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from phys4d_kedro.clips.files import disk_is_full
from phys4d_kedro.errors import CheckpointError, StorageFullError
from phys4d_kedro.training import run_metadata

Modules = dict[str, torch.nn.Module]
Tensors = dict[str, torch.Tensor]

_FOLDER = re.compile(r"step_(\d{8})")
_BEST = re.compile(r"best_(\d{8})")


@dataclass
class TrainingState:
    """What a checkpoint holds beside the weights.

    `history` is the loss curve, a row a point; `pending` are the steps since its last point, not yet averaged;
    `validations` has a row a validation; `stopped` says why training ended early, if it did.
    """

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    pending: list[dict[str, float]] = field(default_factory=list)
    validations: list[dict[str, float]] = field(default_factory=list)
    stopped: str | None = None


def save(
    directory: Path,
    *,
    modules: Modules,
    averages: dict[str, Tensors],
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    fingerprint: str,
    keep: int,
    best: int | None,
) -> Path:
    """Write a checkpoint, then remove all but the newest `keep`, and all best weights but those of step `best`.

    Raises:
        StorageFullError: the disk is full; older checkpoints are untouched and nothing partial remains.
    """
    folder = directory / f"step_{state.step:08d}"
    with written_whole(folder, f"the checkpoint of step {state.step}") as partial:
        write_modules(partial, modules)
        for name, average in averages.items():
            save_file(_tensors(average), partial / f"{name}.ema.safetensors")
        save_file(_optimizer_tensors(modules, optimizer), partial / "optimizer.safetensors")
        document = {"fingerprint": fingerprint, **asdict(state)}
        (partial / "state.json").write_text(json.dumps(document))
        run_metadata.write(partial)
    for old in list_checkpoints(directory)[:-keep]:
        _remove(old)
    for other in _list(directory, _BEST):
        if best is None or other != _best_folder(directory, best):
            _remove(other)
    return folder


def save_best(directory: Path, modules: Modules, step: int) -> None:
    """Keep the weights that are in the modules as the best so far. Raises StorageFullError as `save` does."""
    with written_whole(_best_folder(directory, step), f"the best weights, of step {step},") as partial:
        write_modules(partial, modules)


def load_best(directory: Path, modules: Modules, step: int) -> None:
    """Put the best weights into the modules.

    Raises:
        CheckpointError: they are missing, damaged or of another model.
    """
    folder = _best_folder(directory, step)
    advice = f"remove the folder {directory} to train again"
    for name, module in modules.items():
        path = folder / f"{name}.safetensors"
        _load_into(_read_tensors(path, advice), module.state_dict(), path)


def write_modules(folder: Path, modules: Modules) -> None:
    """A file of weights and buffers for each module."""
    for name, module in modules.items():
        save_file(_tensors(module.state_dict()), folder / f"{name}.safetensors")


@contextmanager
def written_whole(folder: Path, what: str) -> Iterator[Path]:
    """A folder to write into, which takes its place only when the block ends well.

    Raises:
        StorageFullError: the disk or quota is full; nothing partial remains.
    """
    partial = folder.parent / f".partial_{os.getpid()}"
    try:
        for left in folder.parent.glob(".partial_*"):  # by runs that were killed
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            _remove(folder)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        if disk_is_full(error):
            raise StorageFullError(
                f"no space left for {what} in {folder.parent}; free some space and run again: training resumes from "
                f"the last checkpoint"
            ) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def list_checkpoints(directory: Path) -> list[Path]:
    """The complete checkpoints of a directory, oldest first."""
    return _list(directory, _FOLDER)


def restore(
    folder: Path,
    *,
    modules: Modules,
    averages: dict[str, Tensors],
    optimizer: torch.optim.Optimizer,
    fingerprint: str,
) -> TrainingState:
    """Load a checkpoint into modules, averages and optimiser, in place.

    Raises:
        CheckpointError: a file is missing or damaged, or the checkpoint belongs to another model, data or config.
    """
    state, found = _read_state(folder)
    if found != fingerprint:
        raise CheckpointError(
            f"{folder} was made by another model, data set or configuration (its fingerprint is "
            f"{found[:12]}, this run's is {fingerprint[:12]}); remove it or choose another folder"
        )
    advice = f"remove the folder {folder} to resume from the checkpoint before it"
    for name, module in modules.items():
        path = folder / f"{name}.safetensors"
        _load_into(_read_tensors(path, advice), module.state_dict(), path)
    for name, average in averages.items():
        path = folder / f"{name}.ema.safetensors"
        _load_into(_read_tensors(path, advice), average, path)
    _restore_optimizer(_read_tensors(folder / "optimizer.safetensors", advice), modules, optimizer)
    return state


def _list(directory: Path, name: re.Pattern[str]) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if name.fullmatch(path.name))


def _best_folder(directory: Path, step: int) -> Path:
    return directory / f"best_{step:08d}"


def _remove(folder: Path) -> None:
    """A folder that is half removed has no name that means anything."""
    doomed = folder.with_name(f".partial_{folder.name}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def _tensors(state: Any) -> Tensors:
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}


def _read_state(folder: Path) -> tuple[TrainingState, str]:
    """The state, and the fingerprint of what it belongs to."""
    try:
        document = json.loads((folder / "state.json").read_text())
        fingerprint = document.pop("fingerprint")
        return TrainingState(**document), fingerprint
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / 'state.json'} is missing or damaged ({error}); remove the folder {folder} to resume from the "
            f"checkpoint before it"
        ) from error


def _read_tensors(path: Path, advice: str) -> Tensors:
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own class, OSError, or ValueError, by kind of damage
        raise CheckpointError(f"{path} is missing or damaged ({error}); {advice}") from error


def _load_into(source: Tensors, target: Any, path: Path) -> None:
    """Copy tensors of equal keys and shapes, in place."""
    if source.keys() != target.keys():
        odd = sorted(source.keys() ^ target.keys())
        raise CheckpointError(f"{path} is of another model: {len(odd)} keys differ, the first is '{odd[0]}'")
    for key, value in source.items():
        if value.shape != target[key].shape:
            raise CheckpointError(
                f"{path} is of another model: '{key}' has shape {tuple(value.shape)}, expected "
                f"{tuple(target[key].shape)}"
            )
        target[key].copy_(value)


def _named_parameters(modules: Modules) -> list[tuple[str, torch.nn.Parameter]]:
    return [
        (f"{name}.{key}", parameter)
        for name, module in modules.items()
        for key, parameter in module.named_parameters()
        if parameter.requires_grad
    ]


def _optimizer_tensors(modules: Modules, optimizer: torch.optim.Optimizer) -> Tensors:
    tensors: Tensors = {}
    for name, parameter in _named_parameters(modules):
        for moment, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{name}.{moment}"] = torch.as_tensor(value).detach().cpu().contiguous()
    return tensors


def _restore_optimizer(tensors: Tensors, modules: Modules, optimizer: torch.optim.Optimizer) -> None:
    for name, parameter in _named_parameters(modules):
        moments = {
            key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.rpartition(".")[0] == name
        }
        if moments:
            optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in moments.items()}
