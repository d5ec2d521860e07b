"""An adapter trained on top of another: merged in memory, and both written as one adapter of the original base."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from phys4d_kedro.errors import CheckpointError, ConfigurationError
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.config import LoadingConfig, LoraSettings
from phys4d_kedro.world_model.lora import (
    add_lora,
    has_lora,
    linear_layers,
    lora_state,
    merge_lora,
    merged_weight,
    stack_lora,
    without_lora,
)
from phys4d_kedro.world_model.lora_files import (
    WEIGHTS,
    export_merged,
    load_lora,
    save_lora,
    save_stacked_lora,
    switch_lora,
)
from phys4d_kedro.world_model.sampling import initial_noise
from tests.world_model.families import FORMS, PROMPTS, SIZE, Form, stock_pipeline, stock_sample
from tests.world_model.lora_cases import CARD, SETTINGS, copies, latents_of, move, same, with_lora

WAN = FORMS[0]
# Of another rank and scale than the first adapter; some of its layers, and one that the first lacks.
SECOND = LoraSettings(rank=2, alpha=5, targets=("to_q", "to_out.0", "ffn.net.2"))
FIRST = LoraSettings(rank=3, alpha=4, targets=("to_q", "to_k", "ffn.net.2"))


@pytest.fixture(scope="module")
def wan_folder(folder_of: Callable[[Form], Path]) -> Path:
    return folder_of(WAN)


def with_second(folder: Path, first: LoraSettings = FIRST, second: LoraSettings = SECOND) -> tuple[Backbone, Backbone]:
    """The base with a first adapter; and the base with that one merged and a second adapter beside it."""
    below, above = with_lora(folder, first), with_lora(folder, first)
    merge_lora(above)
    add_lora(above, second, seed=5)
    move(above.transformer, seed=6)
    return below, above


def test_the_merged_backbone_is_the_adapted_one_without_adapter(form: Form, folder: Path, tmp_path: Path) -> None:
    backbone = with_lora(folder)
    adapted = latents_of(form, backbone)
    export_merged(backbone, tmp_path, card=CARD)
    merge_lora(backbone)
    assert not has_lora(backbone.transformer)
    assert same(backbone.transformer.state_dict(), load_backbone(tmp_path).transformer.state_dict())
    assert torch.allclose(latents_of(form, backbone), adapted, atol=1e-4)
    add_lora(backbone, SETTINGS, seed=1)
    move(backbone.transformer, seed=2)
    with without_lora(backbone):  # the reference is the first adapter's model
        assert torch.allclose(latents_of(form, backbone), adapted, atol=1e-4)


def test_merging_adds_in_float32_and_keeps_the_bases_precision(wan_folder: Path) -> None:
    backbone = with_lora(wan_folder, loading=LoadingConfig(dtype="bf16"))
    layer = backbone.transformer.blocks[0].attn1.to_q
    expected = merged_weight(layer)
    merge_lora(backbone)
    merged = linear_layers(backbone.transformer)["blocks.0.attn1.to_q"].weight
    assert merged.dtype == torch.bfloat16
    assert torch.equal(merged, expected)


def test_nothing_is_merged_where_there_is_no_adapter(wan_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no LoRA adapter"):
        merge_lora(load_backbone(wan_folder))


def test_the_stacked_product_is_the_sum_of_both() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {"a": (6, 7), "b": (5, 6), "c": (4, 6)}  # layers, (out, in)

    def state(layers: str, rank: int) -> dict[str, torch.Tensor]:
        return {
            f"{layer}.lora_{half}.weight": torch.randn(shape, generator=generator)
            for layer in layers
            for half, shape in (("A", (rank, shapes[layer][1])), ("B", (shapes[layer][0], rank)))
        }

    def change(weights: dict[str, torch.Tensor], layer: str) -> torch.Tensor:
        pair = [weights.get(f"{layer}.lora_{half}.weight") for half in "BA"]
        return torch.zeros(shapes[layer]) if pair[0] is None else pair[0].double() @ pair[1].double()

    first, second = state("ab", 3), state("bc", 2)
    before = copies(first), copies(second)
    stacked = stack_lora(first, 0.7, second, 2.0)
    for layer in "abc":
        assert stacked[f"{layer}.lora_A.weight"].shape == (5, shapes[layer][1])
        assert stacked[f"{layer}.lora_B.weight"].shape == (shapes[layer][0], 5)
        expected = 0.7 * change(first, layer) + 2.0 * change(second, layer)
        torch.testing.assert_close(change(stacked, layer), expected, rtol=1e-6, atol=1e-6, check_dtype=False)
    assert same(first, before[0])
    assert same(second, before[1])


def test_two_adapters_as_one_of_the_original_base(form: Form, folder: Path, tmp_path: Path) -> None:
    targets = load_backbone(folder).lora_targets
    below, above = with_second(
        folder,
        LoraSettings(rank=3, alpha=4, targets=tuple(targets[:-1])),
        LoraSettings(rank=2, alpha=5, targets=tuple(targets[1:])),
    )
    save_lora(below, tmp_path / "first", card=CARD)
    expected = latents_of(form, above, guidance=3.0)
    save_stacked_lora(above, tmp_path / "first", tmp_path / "both", card=CARD)
    assert torch.equal(latents_of(form, above, guidance=3.0), expected)
    backbone = load_backbone(folder)
    load_lora(backbone, tmp_path / "both")
    assert torch.allclose(latents_of(form, backbone, guidance=3.0), expected, atol=1e-4)
    assert not torch.allclose(latents_of(form, below, guidance=3.0), expected, atol=0.05)
    assert "rank 5, alpha 5" in (tmp_path / "both/README.md").read_text()
    if form.stock:
        pipeline = stock_pipeline(folder)
        pipeline.load_lora_weights(tmp_path / "both")
        options = {"prompt": PROMPTS[0], "negative_prompt": PROMPTS[1], "guidance_scale": 3.0, "num_inference_steps": 3}
        noise = initial_noise(backbone, [3], **SIZE)
        assert torch.allclose(stock_sample(form, pipeline, noise, **options), expected, atol=1e-4)


def test_what_cannot_be_stacked_is_refused(wan_folder: Path, tmp_path: Path) -> None:
    _, above = with_second(wan_folder)
    with pytest.raises(CheckpointError, match="missing or damaged"):
        save_stacked_lora(above, tmp_path / "none", tmp_path / "both", card=CARD)
    with pytest.raises(ConfigurationError, match="has no LoRA adapter"):
        save_stacked_lora(load_backbone(wan_folder), tmp_path / "none", tmp_path / "both", card=CARD)
    assert not (tmp_path / "both").exists()


class TestSwitching:
    """One backbone, several adapters, one at a time."""

    def test_there_and_back_is_exact(self, wan_folder: Path, tmp_path: Path) -> None:
        one, two = with_lora(wan_folder), with_lora(wan_folder, SECOND)
        save_lora(one, tmp_path / "one", card=CARD)
        save_lora(two, tmp_path / "two", card=CARD)
        expected = {"one": latents_of(WAN, one), "two": latents_of(WAN, two)}
        backbone = load_backbone(wan_folder)
        base = latents_of(WAN, backbone)
        for name in ("one", "two", "one", None, "two", None):
            switch_lora(backbone, tmp_path / name if name else None)
            assert torch.equal(latents_of(WAN, backbone), expected[name] if name else base)
        assert not has_lora(backbone.transformer)

    def test_a_bad_file_leaves_the_old_adapter_on(self, wan_folder: Path, tmp_path: Path) -> None:
        backbone = with_lora(wan_folder)
        before, state = latents_of(WAN, backbone), copies(lora_state(backbone.transformer))
        (tmp_path / WEIGHTS).write_bytes(b"none")
        with pytest.raises(CheckpointError, match="missing or damaged"):
            switch_lora(backbone, tmp_path)
        assert same(lora_state(backbone.transformer), state)
        assert torch.equal(latents_of(WAN, backbone), before)

    def test_an_adapter_of_some_layers_reads_over_one_of_others(self, wan_folder: Path, tmp_path: Path) -> None:
        save_lora(with_lora(wan_folder, SECOND), tmp_path, card=CARD)
        backbone = with_lora(wan_folder, FIRST)
        switch_lora(backbone, tmp_path)
        written = {key.removeprefix("transformer."): value for key, value in load_file(tmp_path / WEIGHTS).items()}
        assert same(lora_state(backbone.transformer), written)
