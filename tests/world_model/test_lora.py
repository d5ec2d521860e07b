"""Adapters of a live backbone: what they change, what is trained, and how they go off."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from phys4d_kedro.errors import CheckpointError, ConfigurationError
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.loop import fit
from phys4d_kedro.training.task import Task
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.config import LoadingConfig, LoraSettings
from phys4d_kedro.world_model.lora import (
    add_lora,
    load_lora_state,
    lora_layers,
    lora_parameters,
    lora_state,
    remove_lora,
    without_lora,
)
from tests.world_model.families import FORMS, PROMPTS, SIZE, Form, first_frames, noise_like
from tests.world_model.lora_cases import SETTINGS, copies, latents_of, move, same, with_lora

WAN = FORMS[0]


@pytest.fixture(scope="module")
def wan_folder(folder_of: Callable[[Form], Path]) -> Path:
    return folder_of(WAN)


def predict(backbone: Backbone, form: Form = WAN) -> torch.Tensor:
    condition = backbone.encode_condition(PROMPTS[:1], first_frames(form), frames=SIZE["frames"])
    noisy = noise_like(torch.zeros(1, *backbone.latent_shape(**SIZE)))
    return backbone.predict(noisy, torch.tensor([0.5]), condition).output


def test_a_new_adapter_changes_nothing_a_trained_one_does_and_off_is_the_base(form: Form, folder: Path) -> None:
    base = latents_of(form, load_backbone(folder))
    backbone = load_backbone(folder)
    add_lora(backbone, SETTINGS, seed=0)
    assert torch.equal(latents_of(form, backbone), base)
    move(backbone.transformer)
    changed = latents_of(form, backbone)
    assert not torch.allclose(changed, base, atol=0.05)
    with without_lora(backbone):
        assert torch.equal(latents_of(form, backbone), base)
    assert torch.equal(latents_of(form, backbone), changed)
    remove_lora(backbone)
    assert torch.equal(latents_of(form, backbone), base)
    assert same(backbone.transformer.state_dict(), load_backbone(folder).transformer.state_dict())


def test_the_familys_layers_are_adapted_and_they_alone_learn(form: Form, folder: Path) -> None:
    backbone = with_lora(folder)
    transformer = backbone.transformer
    adapted = {key.rpartition(".lora_")[0] for key in lora_state(transformer)}
    linear = [name.removesuffix(".base_layer") for name, m in transformer.named_modules() if type(m) is torch.nn.Linear]
    expected = {n for n in linear if ".lora_" not in n and any(n.endswith(f".{t}") for t in backbone.lora_targets)}
    assert adapted == expected
    assert len(adapted) >= 2 * len(backbone.lora_targets)  # of two blocks
    before = copies(transformer.state_dict())
    trainable = [p for p in transformer.parameters() if p.requires_grad]
    assert {id(p) for p in trainable} == {id(p) for p in lora_parameters(transformer)}
    optimizer = torch.optim.SGD(trainable, lr=0.1)
    predict(backbone, form).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trainable)
    optimizer.step()
    for key, value in transformer.state_dict().items():
        assert torch.equal(value, before[key]) == (".lora_" not in key)


def test_a_layer_computes_the_formula(wan_folder: Path) -> None:
    backbone = with_lora(wan_folder, LoraSettings(rank=4, alpha=12, targets=("attn1.to_q",)))
    layer, state = backbone.transformer.blocks[1].attn1.to_q, lora_state(backbone.transformer)
    a, b = (state[f"blocks.1.attn1.to_q.lora_{half}.weight"] for half in "AB")
    assert (a.shape, b.shape) == ((4, 32), (32, 4))
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    base = torch.nn.functional.linear(x, layer.weight, layer.bias)
    assert torch.allclose(layer(x), base + 12 / 4 * (x @ a.T @ b.T), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "layers"),
    [
        (LoraSettings(rank=2, alpha=2, targets=("attn2.to_k",)), {"attn2.to_k"}),
        (LoraSettings(rank=5, alpha=1, targets=("to_v", "ffn.net.2")), {"attn1.to_v", "attn2.to_v", "ffn.net.2"}),
    ],
)
def test_rank_and_targets_are_those_of_the_settings(wan_folder: Path, settings: LoraSettings, layers: set[str]) -> None:
    state = lora_state(with_lora(wan_folder, settings).transformer)
    assert {key.split(".", 2)[2].rpartition(".lora_")[0] for key in state} == layers
    assert {len(value) for key, value in state.items() if "lora_A" in key} == {settings.rank}


@pytest.mark.parametrize("init", ["kaiming", "gaussian"])
def test_initial_weights_depend_on_the_seed_alone(wan_folder: Path, init: str) -> None:
    def initial(seed: int, noise: int) -> dict[str, torch.Tensor]:
        backbone = load_backbone(wan_folder)
        assert backbone.transformer is not None  # loading draws numbers
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        add_lora(backbone, LoraSettings(rank=8, alpha=8, init=init), seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        return lora_state(backbone.transformer)

    first = initial(7, 1)
    assert same(first, initial(7, 2))
    assert not same(first, initial(8, 1))
    spread = torch.cat([value.flatten() for key, value in first.items() if "net.0.proj.lora_A" in key])
    bound = 32**-0.5  # uniform within it, as a layer of 32 inputs; or deviation 1 / rank
    assert spread.abs().max() <= bound if init == "kaiming" else abs(spread.std() - 1 / 8) < 0.02
    assert not any(value.any() for key, value in first.items() if "lora_B" in key)


def test_dropout_is_of_training_alone(wan_folder: Path) -> None:
    backbone = with_lora(wan_folder, LoraSettings(rank=3, alpha=6, dropout=0.5))
    plain = with_lora(wan_folder)
    assert torch.equal(predict(backbone), predict(plain))
    lora_layers(backbone.transformer).train()
    torch.manual_seed(0)
    assert not torch.allclose(predict(backbone), predict(plain), atol=1e-3)
    lora_layers(backbone.transformer).eval()
    assert torch.equal(predict(backbone), predict(plain))


def test_a_reference_pass_leaves_training_as_it_is(wan_folder: Path) -> None:
    """Also between a forward pass and its backward pass, and when it fails."""

    def gradients(*, refer: bool) -> list[torch.Tensor]:
        backbone = with_lora(wan_folder)
        output = predict(backbone)
        if refer:
            with torch.no_grad(), without_lora(backbone), without_lora(backbone):
                predict(backbone)
            with pytest.raises(RuntimeError, match="lost"), without_lora(backbone):
                raise RuntimeError("lost")
        output.square().mean().backward()
        predict(backbone).square().mean().backward()
        return [p.grad for p in lora_parameters(backbone.transformer)]

    for with_reference, without in zip(gradients(refer=True), gradients(refer=False), strict=True):
        assert torch.equal(with_reference, without)


def test_an_inner_reference_pass_does_not_end_the_outer_one_and_frozen_stays_frozen(wan_folder: Path) -> None:
    base = predict(load_backbone(wan_folder))
    backbone = with_lora(wan_folder)
    backbone.transformer.requires_grad_(False)
    with without_lora(backbone):
        with without_lora(backbone):
            pass
        assert torch.equal(predict(backbone), base)
    assert not torch.allclose(predict(backbone), base, atol=0.05)
    assert not any(p.requires_grad for p in backbone.transformer.parameters())
    plain = load_backbone(wan_folder)
    with without_lora(plain):
        assert torch.equal(predict(plain), base)


def test_the_layers_are_the_adapter_itself(wan_folder: Path) -> None:
    """What a training loop does to them, averages of weights too, the transformer computes with."""
    backbone = with_lora(wan_folder)
    layers, before = lora_layers(backbone.transformer), predict(backbone)
    own = copies(layers.state_dict())
    assert same(lora_state(backbone.transformer), own)
    average = {key: value * 0.5 for key, value in own.items()}
    layers.load_state_dict(average)
    assert same(lora_state(backbone.transformer), average)
    assert not torch.allclose(predict(backbone), before, atol=0.05)
    load_lora_state(backbone.transformer, own)
    assert torch.equal(predict(backbone), before)


class _Fit(Task):
    """The adapter alone is trained to make the output small; stops with an exception at a given step."""

    def __init__(self, folder: Path, stop_at: int | None = None) -> None:
        self.backbone = with_lora(folder, LoraSettings(rank=3, alpha=6, dropout=0.2))
        self.modules: dict[str, torch.nn.Module] = {"lora": lora_layers(self.backbone.transformer)}
        self.calls, self.stop_at = 0, stop_at

    def loss(self, _indices: list[int], _generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        return predict(self.backbone).square().mean(), {}


def test_the_training_loop_keeps_and_resumes_the_adapter_alone(wan_folder: Path, tmp_path: Path) -> None:
    config = LoopConfig(steps=4, batch_size=1, learning_rate=0.01, ema=0.5, checkpoint_every=2, log_every=1, seed=0)

    def run(task: _Fit, workdir: Path) -> None:
        fit(task, items=1, config=config, workdir=workdir, fingerprint="f" * 64, description="test")

    whole, resumed = _Fit(wan_folder), _Fit(wan_folder)
    base, before = copies(whole.backbone.transformer.state_dict()), copies(lora_state(whole.backbone.transformer))
    run(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(_Fit(wan_folder, stop_at=4), tmp_path / "cut")
    run(resumed, tmp_path / "cut")
    trained = lora_state(whole.backbone.transformer)
    assert same(lora_state(resumed.backbone.transformer), trained)
    assert not any(torch.equal(trained[key], before[key]) for key in before)
    after = whole.backbone.transformer.state_dict()
    assert all(torch.equal(after[key], base[key]) for key in base if ".lora_" not in key)
    for name in ("lora.safetensors", "lora.ema.safetensors"):
        saved = load_file(next((tmp_path / "whole").glob(f"*/step_00000004/{name}")))
        assert saved.keys() == before.keys()
    assert same(saved, trained)  # the average is what is left in the model


def test_weights_of_another_adapter_are_refused_whole(wan_folder: Path) -> None:
    transformer = with_lora(wan_folder).transformer
    before = copies(lora_state(transformer))
    first = next(iter(before))
    others = [
        lora_state(with_lora(wan_folder, LoraSettings(rank=2, alpha=2)).transformer),
        {**{key: value + 1 for key, value in before.items()}, first: torch.zeros(1)},
        {key: value + 1 for key, value in before.items() if key != first},
        {**before, "another.lora_A.weight": torch.zeros(3, 32)},
        {},
    ]
    for other in others:
        with pytest.raises(CheckpointError, match=r"of another LoRA.*the first .*lora_[AB]\.weight"):
            load_lora_state(transformer, other)
        assert same(lora_state(transformer), before)


def test_unknown_targets_and_second_adapters_are_refused(form: Form, folder: Path) -> None:
    backbone = load_backbone(folder)
    keys = list(backbone.transformer.state_dict())
    right = backbone.lora_targets[0]
    half = right[1:]  # a name ends at a dot, or where it begins
    with pytest.raises(ConfigurationError, match=rf"\['to_x', '{half}'\] name no linear layer of .*{right}"):
        add_lora(backbone, LoraSettings(rank=2, alpha=2, targets=(right, "to_x", half)), seed=0)
    assert list(backbone.transformer.state_dict()) == keys
    for needs_one in (lora_layers, lora_parameters, lora_state):
        with pytest.raises(ConfigurationError, match="has no LoRA adapter"):
            needs_one(backbone.transformer)
    with pytest.raises(ConfigurationError, match="has no LoRA adapter"):
        remove_lora(backbone)
    add_lora(backbone, SETTINGS, seed=0)
    with pytest.raises(ConfigurationError, match="already: remove_lora"):
        add_lora(backbone, SETTINGS, seed=0)
    remove_lora(backbone)
    add_lora(backbone, SETTINGS, seed=0)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"targets": ()}, {"init": "zeros"}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LoraSettings(**{"rank": 2, "alpha": 2, **wrong})


def test_the_adapter_of_a_half_precision_backbone_is_float32(wan_folder: Path) -> None:
    backbone = with_lora(wan_folder, loading=LoadingConfig(dtype="bf16"))
    assert {value.dtype for value in lora_state(backbone.transformer).values()} == {torch.float32}
    predict(backbone).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in lora_parameters(backbone.transformer))


@pytest.mark.parametrize("offload", ["model", "group"])
def test_an_offloaded_transformer_takes_an_adapter(wan_folder: Path, offload: str) -> None:
    backbone = with_lora(wan_folder, loading=LoadingConfig(device="cpu", offload=offload))
    with torch.no_grad():
        assert torch.allclose(predict(backbone), predict(with_lora(wan_folder)), atol=1e-5)
    if offload == "group":  # each layer is moved by a hook of its own
        assert all(
            hasattr(layer, "_diffusers_hook")
            for layer in lora_layers(backbone.transformer).modules()
            if isinstance(layer, torch.nn.Linear)
        )
