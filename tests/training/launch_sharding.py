"""A job that holds a transformer shared out over the processes beside the whole one."""

import json
from pathlib import Path

import torch

from phys4d_kedro.training import ranks
from phys4d_kedro.training.sharding import shard_frozen
from phys4d_kedro.world_model.backbones.base import Backbone, Prediction
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.lora import lora_layers
from tests.world_model.families import FORMS, PROMPTS, SIZE, Form, first_frames
from tests.world_model.lora_cases import latents_of, with_lora

STEPS = 2


def compare(folders: dict[str, str], results: str) -> None:
    """For each "form, precision": what both hold and compute, into `<results>/<rank>.json`. See `_compare`."""
    if ranks.world_size() == 1:
        return
    torch.set_num_threads(1)
    found = {case: _compare(case, Path(folder)) for case, folder in folders.items()}
    Path(results, f"{ranks.rank()}.json").write_text(json.dumps(found))


def _compare(case: str, folder: Path) -> dict[str, object]:
    """Numbers held, and differences of losses, gradients and weights while training, and of samples afterwards.

    Each process trains on noise of its own, with gradient checkpointing.
    """
    name, _, dtype = case.partition(", ")
    form = next(form for form in FORMS if form.name == name)
    loading = LoadingConfig.model_validate({"dtype": dtype, "gradient_checkpointing": True})
    whole, shared = (with_lora(folder, loading=loading) for _ in range(2))
    before = shared.transformer, list(lora_layers(shared.transformer).parameters())
    shard_frozen(shared.transformer)
    after = list(lora_layers(shared.transformer).parameters())
    curves = [_train(backbone, form) for backbone in (whole, shared)]
    samples = [latents_of(form, backbone) for backbone in (whole, shared)]
    return {
        "whole": _held(whole),
        "held": _held(shared),
        "adapter": sum(parameter.numel() for parameter in after),
        "same_objects": before[0] is shared.transformer
        and all(old is new for old, new in zip(before[1], after, strict=True)),
        "difference": max(_distance(a, b) for a, b in zip(*curves, strict=True)),
        "of_samples": _distance(*samples),
        "smallest_gradient": min(float(gradient.abs().max()) for gradient in curves[0][1::3]),
    }


def _train(backbone: Backbone, form: Form) -> list[torch.Tensor]:
    """Loss, gradients and weights of each step, flat."""
    layers = lora_layers(backbone.transformer)
    parameters = list(layers.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=0.01)
    condition = backbone.encode_condition(PROMPTS[:1], first_frames(form), frames=SIZE["frames"])
    curve = []
    backbone.transformer.train()
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(10 * step + ranks.rank())
        noisy = torch.randn(1, *backbone.latent_shape(**SIZE), generator=generator)
        loss = _loss(backbone.predict(noisy, torch.tensor([0.5]), condition, features=True))
        loss.backward()
        ranks.mean_gradients(parameters)
        gradients = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        optimizer.step()
        optimizer.zero_grad()
        curve += [loss.detach(), gradients, torch.cat([p.detach().flatten().clone() for p in parameters])]
    backbone.transformer.eval()
    return curve


def _loss(reading: Prediction) -> torch.Tensor:
    """Of everything that the heads and the denoising loss read."""
    assert reading.shift is not None
    assert reading.scale is not None
    parts = (reading.output, *reading.layers, reading.shift, reading.scale)
    return torch.stack([part.square().mean() for part in parts]).sum()


def _held(backbone: Backbone) -> int:
    """Numbers of the transformer that this process holds while it is not running a block."""
    for module in backbone.transformer.modules():
        if hasattr(module, "reshard"):
            module.reshard()
    parameters = list(backbone.transformer.parameters())
    return sum((p.to_local() if hasattr(p, "to_local") else p).numel() for p in parameters)


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference, relative to the largest number."""
    return float((one - other).abs().max() / one.abs().max())
