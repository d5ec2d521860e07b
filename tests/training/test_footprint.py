"""The footprint of a training step: closed forms, and steps that have no data against steps that run."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel, WanTransformer3DModel
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from phys4d_kedro.training.footprint import Footprint, imagined, measure_step

Step = tuple[list[nn.Module], Callable[[], torch.Tensor]]


def mlp_step(rows: int = 64, inputs: int = 32, hidden: int = 128) -> Step:
    """x -> linear -> GELU -> linear -> sum, of float32."""
    model = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, inputs))
    x = torch.randn(rows, inputs)
    return [model], lambda: model(x).sum()


def wan_step(checkpointed: bool = False, frozen: bool = False) -> Step:
    """A tiny Wan transformer with a timestep a token, as Wan 2.2 TI2V; `frozen` trains its output alone."""
    torch.manual_seed(0)
    model = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        freq_dim=32,
        ffn_dim=64,
        num_layers=4,
        rope_max_seq_len=64,
    )
    if checkpointed:
        model.enable_gradient_checkpointing()
    model.requires_grad_(not frozen)
    model.proj_out.requires_grad_(True)
    x, text, timestep = torch.randn(1, 4, 3, 16, 16), torch.randn(1, 12, 16), torch.full((1, 3 * 64), 500.0)
    return [model], lambda: model(x, timestep, text, return_dict=False)[0].square().mean()


def cogvideox_step() -> Step:
    """A tiny CogVideoX transformer in bfloat16 by autocast."""
    torch.manual_seed(0)
    model = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=16,
        text_embed_dim=16,
        num_layers=2,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        max_text_seq_length=12,
    )
    x, text, timestep = torch.randn(1, 3, 4, 8, 8), torch.randn(1, 12, 16), torch.full((1,), 500)

    def loss() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return model(x, text, timestep, return_dict=False)[0].square().mean()

    return [model], loss


def footprint(step: Callable[[], Step], *, real: bool) -> Footprint:
    with nullcontext() if real else imagined():
        return measure_step(*step())


def test_linear_layers_have_their_closed_form() -> None:
    rows, inputs, hidden = 64, 32, 128
    got = footprint(mlp_step, real=False)
    weights = 2 * inputs * hidden + hidden + inputs
    assert got.parameters == got.trainable == weights
    assert got.weight_bytes == 4 * weights
    assert got.optimiser_bytes == 8 * weights
    product = 2 * rows * inputs * hidden
    assert got.forward_flops == 2 * product
    assert got.flops == 2 * product + 3 * product  # gradients of two weights, and of what goes into the second
    assert got.saved_bytes == 4 * rows * (inputs + 2 * hidden)  # x, and what goes into and comes out of GELU
    # When the second layer's gradients are there: weights, theirs, x, both hidden tensors, and the hidden gradient.
    least = 4 * (weights + hidden * inputs + rows * inputs + 3 * rows * hidden)
    assert least <= got.peak_bytes <= 1.3 * least
    assert got.total_bytes == got.peak_bytes + got.optimiser_bytes
    assert got.seconds(got.flops) == 1


def test_attention_has_its_closed_form_and_saves_no_scores() -> None:
    heads, tokens, width = 2, 256, 16

    def step() -> Step:
        model = nn.ParameterList(torch.randn(1, heads, tokens, width) for _ in range(3))
        return [model], lambda: functional.scaled_dot_product_attention(*model).sum()

    got = footprint(step, real=False)
    assert got.forward_flops == 2 * 2 * heads * tokens**2 * width
    assert got.flops == got.forward_flops * 3.5  # five products going backward: scores are computed again
    assert got.saved_bytes < 4 * heads * tokens**2


@pytest.mark.parametrize(
    ("step", "tolerance"),
    [
        (mlp_step, 0),
        (wan_step, 0),
        (lambda: wan_step(True), 0),
        (lambda: wan_step(frozen=True), 0),
        (cogvideox_step, 0.02),  # in bfloat16 CPUs keep the statistics of norms in another type than torch foresees
    ],
)
def test_a_step_without_data_counts_as_one_that_runs(step: Callable[[], Step], tolerance: float) -> None:
    counted, real = footprint(step, real=False), footprint(step, real=True)
    assert counted.saved_bytes == pytest.approx(real.saved_bytes, rel=tolerance)
    assert counted.peak_bytes == pytest.approx(real.peak_bytes, rel=0.01)
    for name in ("parameters", "trainable", "weight_bytes", "optimiser_bytes", "forward_flops", "flops"):
        assert getattr(counted, name) == getattr(real, name), name


@pytest.mark.parametrize("checkpointed", [False, True])
def test_the_peak_is_what_the_allocator_reports(checkpointed: bool) -> None:
    counted = footprint(lambda: wan_step(checkpointed), real=False)
    modules, loss = wan_step(checkpointed)
    loss().backward()  # once before, for what is made once
    for parameter in modules[0].parameters():
        parameter.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        loss().backward()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]  # type: ignore[union-attr]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    assert peak > 0
    assert counted.peak_bytes - counted.weight_bytes == pytest.approx(peak, rel=0.1)


def test_checkpointing_trades_memory_for_operations() -> None:
    plain, checkpointed = footprint(wan_step, real=False), footprint(lambda: wan_step(True), real=False)
    assert checkpointed.saved_bytes < plain.saved_bytes / 3
    assert checkpointed.peak_bytes < plain.peak_bytes
    assert checkpointed.forward_flops == plain.forward_flops
    # All blocks but their last product run once more, and the blocks are nearly all there is.
    assert 0.8 < (checkpointed.flops - plain.flops) / plain.forward_flops < 1


def test_frozen_weights_cost_neither_optimiser_nor_activations() -> None:
    frozen, trained = footprint(lambda: wan_step(frozen=True), real=False), footprint(wan_step, real=False)
    assert frozen.parameters == trained.parameters
    assert frozen.weight_bytes == trained.weight_bytes
    assert frozen.trainable < trained.trainable / 100
    assert frozen.optimiser_bytes == 8 * frozen.trainable
    assert frozen.saved_bytes < trained.saved_bytes / 20


def test_coarse_trainable_weights_have_a_float32_copy() -> None:
    def step() -> Step:
        model = nn.Linear(8, 8, dtype=torch.bfloat16)
        return [model], lambda: model(torch.ones(4, 8, dtype=torch.bfloat16)).sum()

    got = footprint(step, real=False)
    assert got.weight_bytes == 2 * got.parameters
    assert got.optimiser_bytes == 12 * got.parameters


def test_measuring_leaves_no_gradients() -> None:
    modules, loss = mlp_step()
    measure_step(modules, loss)
    assert all(parameter.grad is None for parameter in modules[0].parameters())
