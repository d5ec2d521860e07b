"""Every family's transformer: what is read off it, its gradients, how it is loaded and saved; on all forms."""

from pathlib import Path

import pytest
import torch

from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import LAYERS, Backbone, Condition
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import write_with_component
from tests.world_model.families import GRID, PROMPTS, SIZE, Form, first_frames, noise_like, randomise, video


def test_features_give_the_output(form: Form, backbone: Backbone, latents: torch.Tensor, condition: Condition) -> None:
    """Norm, modulation and projection of what is tapped must be what the transformer puts out."""
    level = torch.tensor([0.7])
    noisy = backbone.add_noise(latents, noise_like(latents), level, condition)
    reading = backbone.predict(noisy, level, condition, features=True)
    assert len(reading.layers) == LAYERS
    for part in (*reading.layers, reading.shift, reading.scale):
        assert part.shape == (1, *GRID, backbone.feature_dim)
        assert part.dtype == torch.float32
    assert torch.equal(reading.output, backbone.predict(noisy, level, condition).output)
    with torch.no_grad():
        assert torch.allclose(form.finish(backbone.transformer, reading), reading.output, atol=1e-5)
    assert reading.output.std() > 0.01
    other = backbone.predict(noisy, torch.tensor([0.1]), condition, features=True)
    assert not torch.allclose(reading.shift[:, 1:], other.shift[:, 1:], atol=1e-3)


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 2, 5), (2, 3, 0)])
def test_planted_signal_comes_out_at_its_token(
    form: Form, folder: Path, condition: Condition, latents: torch.Tensor, place: tuple[int, int, int]
) -> None:
    """Where tokens do not see each other, a token sees its own patch alone."""
    t, row, column = place
    backbone = load_backbone(folder)
    form.isolate(backbone.transformer)
    edge = backbone.token_pixels * latents.shape[3] // SIZE["height"]
    planted = latents.clone()
    planted[:, :, t, edge * row : edge * (row + 1), edge * column : edge * (column + 1)] += 1
    plain = backbone.predict(latents, torch.tensor([0.5]), condition, features=True)
    signal = backbone.predict(planted, torch.tensor([0.5]), condition, features=True)
    assert signal.layers[-1] is signal.features
    for before, after in zip(plain.layers, signal.layers, strict=True):
        changed = (after - before).abs().amax(-1)[0] > 1e-4
        assert changed.nonzero().tolist() == [[t, row, column]]
    output = (signal.output - plain.output).abs().amax(1)[0] > 1e-4
    at = {(k, i // edge, j // edge) for k, i, j in output.nonzero().tolist()}
    assert at == {place}


def test_gradients_are_the_same_checkpointed(folder: Path, latents: torch.Tensor, condition: Condition) -> None:
    gradients, passes = [], []
    for checkpointing in (False, True):
        backbone = load_backbone(folder, LoadingConfig(gradient_checkpointing=checkpointing))
        transformer = backbone.transformer.requires_grad_(True)
        calls = []
        blocks = next(module for module in transformer.children() if isinstance(module, torch.nn.ModuleList))
        blocks[0].register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        reading = backbone.predict(latents, torch.tensor([0.4]), condition, features=True)
        (reading.output.square().mean() + sum(layer.square().mean() for layer in reading.layers)).backward()
        gradients.append({name: p.grad for name, p in transformer.named_parameters() if p.grad is not None})
        passes.append(len(calls))
    assert passes == [1, 2]
    assert gradients[0].keys() == gradients[1].keys()
    assert all(gradient.abs().sum() > 0 for name, gradient in gradients[0].items() if "proj_out" in name)
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-6), name


def test_a_changed_transformer_is_saved_and_loaded(
    folder: Path, tmp_path: Path, latents: torch.Tensor, condition: Condition
) -> None:
    backbone = load_backbone(folder)
    before = backbone.predict(latents, torch.tensor([0.4]), condition).output
    randomise(backbone.transformer, seed=7)
    write_with_component(folder, "transformer", backbone.transformer, tmp_path / "changed")
    again = load_backbone(tmp_path / "changed")
    assert type(again) is type(backbone)
    output = again.predict(latents, torch.tensor([0.4]), condition).output
    assert torch.equal(output, backbone.predict(latents, torch.tensor([0.4]), condition).output)
    assert not torch.allclose(output, before, atol=1e-2)
    assert again.fingerprint("transformer") != backbone.fingerprint("transformer")
    assert again.fingerprint("vae", "text_encoder") == backbone.fingerprint("vae", "text_encoder")


def test_lora_targets_are_linear_layers_of_every_block(backbone: Backbone) -> None:
    linear = [name for name, module in backbone.transformer.named_modules() if isinstance(module, torch.nn.Linear)]
    for target in backbone.lora_targets:
        assert sum(name.endswith("." + target) for name in linear) >= 2


@pytest.mark.parametrize(
    ("loading", "error"),
    [
        (LoadingConfig(device="cpu", offload="model"), 1e-5),
        (LoadingConfig(device="cpu", offload="group"), 1e-5),
        (LoadingConfig(dtype="bf16", tile_vae=True, slice_vae=True), 0.05),
    ],
    ids=lambda value: getattr(value, "offload", None),
)
def test_loading_changes_nothing_but_precision(
    form: Form, folder: Path, backbone: Backbone, loading: LoadingConfig, error: float
) -> None:
    loaded, readings = load_backbone(folder, loading), []
    for model in (backbone, loaded):
        condition = model.encode_condition(PROMPTS, first_frames(form, 2), frames=SIZE["frames"])
        latents = model.encode_video(video(2))
        reading = model.predict(latents, torch.tensor([0.2, 0.8]), condition, features=True)
        readings.append((latents, condition.text, reading.output, reading.features, reading.scale))
        assert model.decode_video(latents).shape == video(2).shape
    assert loaded.dtype in {parameter.dtype for parameter in loaded.transformer.parameters()}
    for exact, other in zip(*readings, strict=True):
        assert other.dtype == torch.float32
        assert (other - exact).norm() <= error * exact.norm()
