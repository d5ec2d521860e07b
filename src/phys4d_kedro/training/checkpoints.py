"""Checkpoints: folders of safetensors and JSON that appear whole or not at all.

<directory>/step_00000200/
    <module>.safetensors        weights, one file a trained module
    <module>.ema.safetensors    their moving average, where there is one
    optimizer.safetensors       AdamW's moments, keyed <module>.<parameter>.<moment>
    state.json                  step, fingerprint of what is trained on what, loss curve so far
"""

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from phys4d_kedro.clips.files import disk_is_full
from phys4d_kedro.errors import CheckpointError, StorageFullError

Modules = dict[str, torch.nn.Module]
Tensors = dict[str, torch.Tensor]

_FOLDER = re.compile(r"step_(\d{8})")


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds beside the weights.

    `history` is the loss curve, a row a point; `pending` are the steps since its last point, not yet averaged.
    """

    step: int
    history: list[dict[str, float]]
    pending: list[dict[str, float]]


def save(
    directory: Path,
    *,
    modules: Modules,
    averages: dict[str, Tensors],
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    fingerprint: str,
    keep: int,
) -> Path:
    """Write a checkpoint and remove all but the newest `keep`.

    Raises:
        StorageFullError: the disk is full; older checkpoints are untouched and nothing partial remains.
    """
    folder = directory / f"step_{state.step:08d}"
    partial = directory / f".partial_{os.getpid()}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, module in modules.items():
            save_file(_tensors(module.state_dict()), partial / f"{name}.safetensors")
            if name in averages:
                save_file(_tensors(averages[name]), partial / f"{name}.ema.safetensors")
        save_file(_optimizer_tensors(modules, optimizer), partial / "optimizer.safetensors")
        document = {"fingerprint": fingerprint, **asdict(state)}
        (partial / "state.json").write_text(json.dumps(document))
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        if disk_is_full(error):
            raise StorageFullError(
                f"no space left for the checkpoint of step {state.step} in {directory}; free some space and run "
                f"again: training resumes from the last checkpoint"
            ) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for old in list_checkpoints(directory)[:-keep]:
        shutil.rmtree(old)
    return folder


def list_checkpoints(directory: Path) -> list[Path]:
    """The complete checkpoints of a directory, oldest first."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if _FOLDER.fullmatch(path.name))


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
    for name, module in modules.items():
        _load_into(_read_tensors(folder / f"{name}.safetensors"), module.state_dict(), folder / f"{name}.safetensors")
        if name in averages:
            path = folder / f"{name}.ema.safetensors"
            _load_into(_read_tensors(path), averages[name], path)
    _restore_optimizer(_read_tensors(folder / "optimizer.safetensors"), modules, optimizer)
    return state


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


def _read_tensors(path: Path) -> Tensors:
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own class, OSError, or ValueError, by kind of damage
        raise CheckpointError(
            f"{path} is missing or damaged ({error}); remove the folder {path.parent} to resume from the checkpoint "
            f"before it"
        ) from error


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
