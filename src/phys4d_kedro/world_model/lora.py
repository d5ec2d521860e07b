"""Low-rank adapters (LoRA) of a backbone's transformer; `lora_files` writes and reads them.

A backbone has one adapter at most. W is the weight of a linear layer; with the adapter on, the layer computes
W x + (alpha / rank) B A x, A of shape (rank, in), B (out, rank).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from phys4d_kedro.errors import CheckpointError, ConfigurationError
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.config import LoraSettings

_ADAPTER = "default"


def add_lora(backbone: Backbone, settings: LoraSettings, *, seed: int) -> None:
    """Give the backbone's transformer an adapter, which changes nothing before it is trained, as B is zero.

    The adapter's weights are float32 whatever the base's are; they alone are trainable.

    Raises:
        ConfigurationError: there is an adapter already, or a target names no linear layer.
    """
    transformer = backbone.transformer
    refuse_second(transformer)
    targets = list(settings.targets or backbone.lora_targets)
    _check_targets(transformer, targets)
    inject(
        transformer,
        seed=seed,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        init_lora_weights=True if settings.init == "kaiming" else settings.init,
        target_modules=targets,
    )


def remove_lora(backbone: Backbone) -> None:
    """Take the adapter off. Raises ConfigurationError where there is none."""
    adapted_layers(backbone.transformer)
    backbone.transformer.unload_lora()


@torch.no_grad()
def merge_lora(backbone: Backbone) -> None:
    """Add the adapter to the base's weights, in memory, and take it off: the base is now the adapted model.

    Weights are added in float32 and kept in the base's precision, so in bf16 the smallest changes are rounded away.

    Raises:
        ConfigurationError: there is no adapter.
    """
    for layer in adapted_layers(backbone.transformer).values():
        layer.get_base_layer().weight.copy_(merged_weight(layer))
    remove_lora(backbone)


def lora_layers(transformer: nn.Module) -> nn.Module:
    """The adapter as a module of its own, which shares its weights with the transformer.

    It is what a training loop takes, checkpoints and averages: keys of its `state_dict` are
    `<layer>.lora_A.weight` and `<layer>.lora_B.weight`. It also holds the dropout, for `train` and `eval`.

    Raises:
        ConfigurationError: there is no adapter.
    """
    root = nn.Module()
    for path, layer in adapted_layers(transformer).items():
        node = root
        for part in path.split("."):
            if part not in node._modules:
                node.add_module(part, nn.Module())
            node = node.get_submodule(part)
        for name in ("lora_A", "lora_B", "lora_dropout"):
            node.add_module(name, getattr(layer, name)[_ADAPTER])
    return root


def lora_parameters(transformer: nn.Module) -> list[nn.Parameter]:
    """The adapter's parameters. Raises ConfigurationError where there is no adapter."""
    return list(lora_layers(transformer).parameters())


def lora_state(transformer: nn.Module) -> dict[str, torch.Tensor]:
    """The adapter's weights by key, not copied. Raises ConfigurationError where there is no adapter."""
    return dict(lora_layers(transformer).state_dict())


def load_lora_state(transformer: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy weights, of the keys of `lora_state`, into the adapter.

    Raises:
        ConfigurationError: there is no adapter.
        CheckpointError: keys or shapes differ; nothing was copied.
    """
    layers = lora_layers(transformer)
    own = layers.state_dict()
    odd = sorted(own.keys() ^ tensors.keys()) or [key for key in own if own[key].shape != tensors[key].shape]
    if odd:
        raise CheckpointError(
            f"these weights are of another LoRA: {len(odd)} of {len(own)} keys or shapes differ from the adapter's, "
            f"{first_of(odd)}; give those of the same backbone, targets and rank"
        )
    layers.load_state_dict(tensors)


def stack_lora(
    first: Mapping[str, torch.Tensor], first_scale: float, second: Mapping[str, torch.Tensor], second_scale: float
) -> dict[str, torch.Tensor]:
    """Two adapters, of the keys of `lora_state`, as one of scale 1 whose rank is the sum of theirs.

    `s1 B1 A1 + s2 B2 A2 = [s1 B1, s2 B2] [A1; A2]`. The scales, alpha / rank of each, go into B. In a layer that only
    one of the two adapts, the other's part is zero.
    """
    ranks = _rank_of(first), _rank_of(second)
    stacked: dict[str, torch.Tensor] = {}
    for key in dict.fromkeys((*first, *second)):
        axis = 0 if ".lora_A." in key else 1
        like = first[key] if key in first else second[key]
        parts = []
        for state, scale, rank in ((first, first_scale, ranks[0]), (second, second_scale, ranks[1])):
            shape = [*like.shape]
            shape[axis] = rank
            part = state[key].float() if key in state else torch.zeros(shape)
            parts.append(part.to(like.device) * (scale if axis else 1))
        stacked[key] = torch.cat(parts, axis)
    return stacked


@contextmanager
def without_lora(backbone: Backbone) -> Iterator[None]:
    """The base model, for reference passes: the adapter, if there is one, is off inside and then as it was."""
    transformer = backbone.transformer
    layers = list(adapted_layers(transformer).values()) if has_lora(transformer) else []
    off = [layer.disable_adapters for layer in layers]
    # peft freezes an adapter that it turns off, and thaws it when it turns it on.
    trainable = [(parameter, parameter.requires_grad) for layer in layers for parameter in layer.parameters()]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer, was_off in zip(layers, off, strict=True):
            layer.enable_adapters(not was_off)
        for parameter, flag in trainable:
            parameter.requires_grad_(flag)


def inject(transformer: Any, *, seed: int, **options: Any) -> None:
    """Add an adapter of peft's options in float32, its initial weights drawn from the seed."""
    from diffusers.hooks.group_offloading import _maybe_remove_and_reapply_group_offloading
    from peft import LoraConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # peft draws on the CPU, then moves the weights to the layer's device
        transformer.add_adapter(LoraConfig(**options), _ADAPTER)
    lora_layers(transformer).float()  # peft takes the base's precision, too coarse for small steps
    transformer.train(transformer.training)  # new layers begin in training mode, with dropout
    _maybe_remove_and_reapply_group_offloading(transformer)  # its hooks know only the layers that were there


def has_lora(transformer: Any) -> bool:
    """Whether there is an adapter, on or off."""
    return bool(getattr(transformer, "peft_config", None))


def refuse_second(transformer: Any) -> None:
    """Raise ConfigurationError where there is an adapter."""
    if has_lora(transformer):
        raise ConfigurationError("the backbone has a LoRA adapter already: remove_lora takes it off")


def adapted_layers(transformer: Any) -> dict[str, Any]:
    """peft's layers by their path. Raises ConfigurationError where there are none."""
    if not has_lora(transformer):
        raise ConfigurationError("the backbone has no LoRA adapter: add_lora makes one, load_lora reads one")
    from peft.tuners.lora import LoraLayer

    return {path: module for path, module in transformer.named_modules() if isinstance(module, LoraLayer)}


def adapter_scale(transformer: Any) -> tuple[int, int]:
    """Rank and alpha. Raises ConfigurationError where there is no adapter."""
    layer = next(iter(adapted_layers(transformer).values()))
    return layer.r[_ADAPTER], layer.lora_alpha[_ADAPTER]


def merged_weight(layer: Any) -> torch.Tensor:
    """W + (alpha / rank) B A of one of peft's layers, added in float32, in the precision of W."""
    weight: torch.Tensor = layer.get_base_layer().weight
    change: torch.Tensor = layer.get_delta_weight(_ADAPTER)
    return (weight.float() + change.float()).to(weight.dtype)


def linear_layers(transformer: Any) -> dict[str, nn.Linear]:
    """Every linear layer of the base by its path, adapted or not."""
    return {
        path.removesuffix(".base_layer"): module
        for path, module in transformer.named_modules()
        if isinstance(module, nn.Linear) and ".lora_" not in path
    }


def _rank_of(state: Mapping[str, torch.Tensor]) -> int:
    return len(next(value for key, value in state.items() if ".lora_A." in key))


def _check_targets(transformer: Any, targets: list[str]) -> None:
    paths = list(linear_layers(transformer))
    odd = [target for target in targets if not any(f".{path}".endswith(f".{target}") for path in paths)]
    if odd:
        kinds = sorted({re.sub(r".*?\.\d+\.", "", path, count=1) for path in paths})
        raise ConfigurationError(
            f"LoRA targets {odd} name no linear layer of {type(transformer).__name__}; its layers are {kinds}, and a "
            f"target is the end of such a name"
        )


def first_of(odd: list[str]) -> str:
    """The beginning of a list, for an error."""
    return f"the first {', '.join(odd[:3])}" if odd else "it is empty"
