"""LoRA adapters as folders: written as the stock pipeline of the backbone's family loads them, read, and merged."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch

from phys4d_kedro.errors import CheckpointError, ConfigurationError
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.folders import read_model_index, write_with_component
from phys4d_kedro.world_model.lora import (
    adapted_layers,
    adapter_scale,
    first_of,
    has_lora,
    inject,
    linear_layers,
    load_lora_state,
    lora_state,
    merged_weight,
    refuse_second,
    remove_lora,
    stack_lora,
)
from phys4d_kedro.world_model.model_card import ModelCard, write_model_card

WEIGHTS = "pytorch_lora_weights.safetensors"

_PREFIX = "transformer."  # of keys and settings in the file, as pipelines of several models have it
_SETTINGS = "lora_adapter_metadata"  # where diffusers looks for them in the file's metadata
_KEY = re.compile(r"transformer\..+\.lora_[AB]\.weight")
_SCALED_OTHERWISE = ("rank_pattern", "alpha_pattern", "use_rslora", "use_dora")


def save_lora(backbone: Backbone, folder: Path, *, card: ModelCard) -> None:
    """Write the adapter and its model card into a folder that the stock pipeline's `load_lora_weights` reads.

    Dropout is not written: diffusers would apply it when it samples.

    Raises:
        ConfigurationError: there is no adapter.
        CheckpointError: the backbone's pipeline has no LoRA.
    """
    _write(backbone, _Adapter(lora_state(backbone.transformer), *adapter_scale(backbone.transformer)), folder, card)


def save_stacked_lora(backbone: Backbone, first: Path, folder: Path, *, card: ModelCard) -> None:
    """Write, as `save_lora` does, one adapter of the original base that does what two after each other do.

    Args:
        backbone: has the second adapter, trained on the base with the first one merged into it (`merge_lora`).
        first: the folder of the first adapter.

    Raises:
        ConfigurationError: there is no adapter.
        CheckpointError: the first adapter cannot be read, or the backbone's pipeline has no LoRA.
    """
    transformer = backbone.transformer
    second = _Adapter(lora_state(transformer), *adapter_scale(transformer))
    below = _read(first, transformer)
    stacked = stack_lora(below.tensors, below.alpha / below.rank, second.tensors, second.alpha / second.rank)
    rank = below.rank + second.rank
    _write(backbone, _Adapter(stacked, rank, alpha=rank), folder, card)


def load_lora(backbone: Backbone, folder: Path) -> None:
    """Give the backbone the adapter of a folder that `save_lora`, or a pipeline's `save_lora_weights`, wrote.

    It is trainable and has no dropout.

    Raises:
        ConfigurationError: there is an adapter already.
        CheckpointError: the file is missing, damaged or of another model; the backbone is as it was.
    """
    refuse_second(backbone.transformer)
    _put_on(backbone, _read(folder, backbone.transformer))


def switch_lora(backbone: Backbone, folder: Path | None) -> None:
    """Take off the adapter that the backbone has, if any, and put on that of a folder, if one is given.

    Raises:
        CheckpointError: as `load_lora`; the backbone is as it was.
    """
    adapter = _read(folder, backbone.transformer) if folder else None
    if has_lora(backbone.transformer):
        remove_lora(backbone)
    if adapter:
        _put_on(backbone, adapter)


def export_merged(backbone: Backbone, folder: Path, *, card: ModelCard) -> None:
    """Write a whole pipeline folder whose transformer has the adapter in its weights; the backbone stays as it is.

    Weights are added in float32 and kept in the base's precision, so in bf16 the smallest changes are rounded away.

    Raises:
        ConfigurationError: there is no adapter, or the folder is the backbone's own.
        CheckpointError: the backbone's pipeline has no LoRA.
    """
    if folder.resolve() == backbone.folder.resolve():
        raise ConfigurationError(f"{folder} is the backbone's own folder: a merged model needs another")
    rank, alpha = adapter_scale(backbone.transformer)
    _pipeline_class(backbone.folder)  # raises before there is work
    write_with_component(backbone.folder, "transformer", _merged(backbone.transformer), folder)
    method = f"The base with a LoRA adapter of rank {rank}, alpha {alpha}, merged into its weights"
    _write_card(backbone, folder, card, kind="finetune", method=method)


@torch.no_grad()
def _merged(transformer: Any) -> Any:
    """A transformer without adapter that does the same; layers that have none share their weights with the given."""
    from accelerate import init_empty_weights

    tensors = {
        key.replace(".base_layer.", "."): value
        for key, value in transformer.state_dict().items()
        if ".lora_" not in key
    }
    for path, layer in adapted_layers(transformer).items():
        tensors[f"{path}.weight"] = merged_weight(layer)
    # The path that the base was read from is of this machine alone.
    config = {key: value for key, value in transformer.config.items() if key != "_name_or_path"}
    with init_empty_weights():
        merged = type(transformer).from_config(config)
    merged.load_state_dict(tensors, assign=True)
    return merged


@dataclass(frozen=True)
class _Adapter:
    """Weights by the keys of `lora_state`, and the two numbers that scale them."""

    tensors: dict[str, torch.Tensor]
    rank: int
    alpha: int

    @property
    def targets(self) -> list[str]:
        """The layers that it adapts."""
        return sorted({_layer_of(key) for key in self.tensors})


def _write(backbone: Backbone, adapter: _Adapter, folder: Path, card: ModelCard) -> None:
    pipeline = _pipeline_class(backbone.folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"r": adapter.rank, "lora_alpha": adapter.alpha, "target_modules": adapter.targets}
    pipeline.save_lora_weights(
        folder,
        transformer_lora_layers={key: value.cpu().contiguous() for key, value in adapter.tensors.items()},
        transformer_lora_adapter_metadata=settings,
    )
    _sort_header(folder / WEIGHTS)
    method = f"A LoRA adapter of rank {adapter.rank}, alpha {adapter.alpha}"
    _write_card(backbone, folder, card, kind="adapter", method=method)


def _sort_header(path: Path) -> None:
    """Put a safetensors header in order: metadata come in a random one, and equal weights shall be equal bytes."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])


def _read(folder: Path, transformer: Any) -> _Adapter:
    """The adapter of a folder, if it fits the transformer. Raises CheckpointError."""
    path = folder / WEIGHTS
    tensors, settings = _read_file(path)
    rank = _check_fit(tensors, transformer, path)
    odd = [name for name in _SCALED_OTHERWISE if settings.get(name)]
    odd += ["r"] if settings.get("r", rank) != rank else []
    if odd:
        raise CheckpointError(
            f"{path} has settings in its metadata that are not taken here, {first_of(odd)}: an adapter has one rank, "
            f"that of its tensors, and one alpha; merge this one into the base with diffusers' fuse_lora"
        )
    return _Adapter(tensors, rank, settings.get("lora_alpha", rank))


def _put_on(backbone: Backbone, adapter: _Adapter) -> None:
    """Give a backbone without adapter this one."""
    inject(backbone.transformer, seed=0, r=adapter.rank, lora_alpha=adapter.alpha, target_modules=adapter.targets)
    load_lora_state(backbone.transformer, adapter.tensors)


def _read_file(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and settings of an adapter, without the prefix."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
            settings = json.loads((file.metadata() or {}).get(_SETTINGS, "{}"))
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is missing or damaged ({type(error).__name__}: {error}); a LoRA folder is what save_lora writes"
        ) from error
    odd = [key for key in tensors if not _KEY.fullmatch(key)]
    if odd or not tensors:
        raise CheckpointError(
            f"{path} holds no LoRA of a video transformer in diffusers' format: {len(odd)} of {len(tensors)} keys are "
            f"not transformer.<layer>.lora_A.weight or lora_B, {first_of(odd)}; load it in diffusers and save it with "
            f"the pipeline's save_lora_weights"
        )
    tensors = {key.removeprefix(_PREFIX): value for key, value in tensors.items()}
    return tensors, {key.removeprefix(_PREFIX): value for key, value in settings.items()}


def _check_fit(tensors: dict[str, torch.Tensor], transformer: Any, file: Path) -> int:
    """The rank, if every tensor is of a linear layer of the transformer, in pairs, and of its size."""
    rank = next((len(value) for key, value in tensors.items() if ".lora_A." in key and value.ndim), 0)
    sizes = {}
    for path, layer in linear_layers(transformer).items():
        sizes[f"{path}.lora_A.weight"] = (rank, layer.in_features)
        sizes[f"{path}.lora_B.weight"] = (layer.out_features, rank)
    halves = Counter(_layer_of(key) for key in tensors)
    odd = [
        f"{key} {tuple(value.shape)}"
        for key, value in tensors.items()
        if sizes.get(key) != tuple(value.shape) or halves[_layer_of(key)] != 2
    ]
    if odd:
        raise CheckpointError(
            f"{file} is of another model: {len(odd)} of its {len(tensors)} tensors are not half of an adapter of rank "
            f"{rank} of a linear layer of this {type(transformer).__name__}, {first_of(odd)}; load it into the base "
            f"that it was trained on"
        )
    return rank


def _layer_of(key: str) -> str:
    return key.rpartition(".lora_")[0]


def _pipeline_class(folder: Path) -> Any:
    """The class that model_index.json names, of diffusers or this project. Raises CheckpointError if it has no LoRA."""
    name = str(read_model_index(folder).get("_class_name"))
    module = "phys4d_kedro.world_model.opensora.pipeline" if name == "OpenSoraPipeline" else "diffusers"
    pipeline = getattr(import_module(module), name, None)
    if not hasattr(pipeline, "save_lora_weights"):
        raise CheckpointError(f"{folder / 'model_index.json'} names a {name}, which has no LoRA weights")
    return pipeline


def _write_card(
    backbone: Backbone, folder: Path, card: ModelCard, *, kind: Literal["adapter", "finetune"], method: str
) -> None:
    pipeline, image_to_video = _pipeline_class(backbone.folder), backbone.takes_first_frame
    write_model_card(folder, card, kind=kind, method=method, pipeline=pipeline, image_to_video=image_to_video)
