"""STDiT3: its published names and sizes, a reference implementation, and what it promises of frames and prompts."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.world_model.opensora.embeddings import RotaryEmbedding, embed_positions, rotate
from phys4d_kedro.world_model.opensora.transformer import STDiT3
from tests.world_model.opensora import reference
from tests.world_model.opensora.tiny_transformer import PIXELS, build, inputs, predict

PATCHES = 2 * 2 * 8


@pytest.fixture(scope="module")
def transformer() -> STDiT3:
    """Shared: not to be changed."""
    return build()


def linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def published_shapes() -> dict[str, tuple[int, ...]]:
    C = 1152
    shapes: dict[str, tuple[int, ...]] = {
        "rope.freqs": (36,),
        "x_embedder.proj.weight": (C, 4, 1, 2, 2),
        "x_embedder.proj.bias": (C,),
        "y_embedder.y_embedding": (300, 4096),
        "final_layer.scale_shift_table": (2, C),
        **linear("final_layer.linear", C, PATCHES),
        **linear("t_block.1", C, 6 * C),
        **linear("y_embedder.y_proj.fc1", 4096, C),
        **linear("y_embedder.y_proj.fc2", C, C),
    }
    for name in ("t_embedder", "fps_embedder"):
        shapes |= linear(f"{name}.mlp.0", 256, C) | linear(f"{name}.mlp.2", C, C)
    for block in [f"{kind}_blocks.{i}" for kind in ("spatial", "temporal") for i in range(28)]:
        shapes |= {f"{block}.scale_shift_table": (6, C)}
        shapes |= {f"{block}.attn.q_norm.weight": (72,), f"{block}.attn.k_norm.weight": (72,)}
        shapes |= linear(f"{block}.attn.qkv", C, 3 * C) | linear(f"{block}.attn.proj", C, C)
        shapes |= linear(f"{block}.cross_attn.q_linear", C, C) | linear(f"{block}.cross_attn.kv_linear", C, 2 * C)
        shapes |= linear(f"{block}.cross_attn.proj", C, C)
        shapes |= linear(f"{block}.mlp.fc1", C, 4 * C) | linear(f"{block}.mlp.fc2", 4 * C, C)
    return shapes


def test_names_and_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        full = STDiT3()
    assert {name: tuple(value.shape) for name, value in full.state_dict().items()} == published_shapes()
    assert sum(parameter.numel() for parameter in full.parameters()) == 1_207_643_936
    assert len(set(map(id, full.parameters()))) == len(published_shapes()) - 2  # the two buffers


@pytest.mark.parametrize("clean", [(), (0,), (0, 1)])
def test_the_output_is_the_reference_implementations(transformer: STDiT3, clean: tuple[int, ...]) -> None:
    """Per-frame timesteps against a mask that chooses; padded cross-attention against packed prompts."""
    given = inputs()
    noisy = torch.ones(2, 3, dtype=torch.bool)
    noisy[0, list(clean)] = False  # the second clip has no clean frame
    expected = reference.stdit3(
        transformer.state_dict(),
        given["hidden_states"],
        given["timestep"][:, 0],
        y=given["encoder_hidden_states"],
        mask=given["encoder_attention_mask"],
        x_mask=noisy,
        fps=given["fps"],
        heads=2,
        scale=(PIXELS["height"] * PIXELS["width"]) ** 0.5 / 64,
    )
    output = predict(transformer, timestep=given["timestep"] * noisy)
    assert output.shape == (2, 8, 3, 4, 8)
    assert output.std() > 0.1
    assert torch.allclose(output.double(), expected, atol=1e-4)
    assert noisy.all() or not torch.allclose(output, predict(transformer), atol=0.1)


def test_a_clips_timestep_is_that_of_all_its_frames(transformer: STDiT3) -> None:
    alike = predict(transformer, timestep=inputs()["timestep"][:, 0])
    assert torch.allclose(predict(transformer), alike, atol=1e-5)


def test_every_input_counts(transformer: STDiT3) -> None:
    plain = predict(transformer)
    told = inputs()
    changes: list[dict[str, Any]] = [
        {"timestep": told["timestep"] + torch.tensor([0.0, 0.0, 30.0])},
        {"fps": told["fps"] * 2},
        {"height": 80},
        {"encoder_attention_mask": torch.ones(2, 7)},
    ]
    for change in changes:
        assert not torch.allclose(predict(transformer, **change), plain, atol=1e-3), change


def test_padding_of_prompts_counts_for_nothing(transformer: STDiT3) -> None:
    text, mask = inputs()["encoder_hidden_states"], inputs()["encoder_attention_mask"]
    other = torch.where(mask[..., None].bool(), text, 9.0)
    assert torch.equal(predict(transformer, encoder_hidden_states=other), predict(transformer))
    longer = {"encoder_hidden_states": text[:, :5], "encoder_attention_mask": mask[:, :5]}
    assert torch.allclose(predict(transformer, **longer), predict(transformer), atol=1e-5)
    everything = {"encoder_attention_mask": None}
    assert torch.allclose(
        predict(transformer, **everything), predict(transformer, encoder_attention_mask=torch.ones(2, 7)), atol=1e-6
    )


def test_latents_that_fill_no_tokens_are_padded(transformer: STDiT3) -> None:
    odd = inputs(rows=3, columns=7)["hidden_states"]
    padded = torch.zeros(2, 4, 3, 4, 8)
    padded[..., :3, :7] = odd
    expected = predict(transformer, hidden_states=padded)[..., :3, :7]
    assert torch.equal(predict(transformer, hidden_states=odd), expected)


@pytest.mark.parametrize(("rows", "columns", "scale"), [(1, 1, 1.0), (3, 5, 0.7), (4, 2, 2.5)])
def test_positions_are_those_of_columns_and_rows(rows: int, columns: int, scale: float) -> None:
    table = embed_positions(rows, columns, 32, scale, torch.device("cpu"))
    assert table.shape == (rows * columns, 32)
    for i in range(rows):
        for j in range(columns):
            expected = reference.position((i, j), (rows, columns), 32, scale).float()
            assert torch.allclose(table[columns * i + j], expected, atol=1e-5)


def test_rotation_is_that_of_complex_numbers() -> None:
    x = torch.randn(3, 5, 12, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, RotaryEmbedding(12)(5))
    for place in range(5):
        for sequence in range(3):
            expected = reference.rotate(x[sequence, place].double(), place).float()
            assert torch.allclose(turned[sequence, place], expected, atol=1e-5)


def test_rotated_products_know_the_distance_alone() -> None:
    q, k = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))
    angles = RotaryEmbedding(12)(9)
    products = rotate(q.expand(9, -1), angles) @ rotate(k.expand(9, -1), angles).T
    for distance in range(-8, 9):
        diagonal = products.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4)
    assert products[0].std() > 0.1


def test_gradients_are_the_same_checkpointed() -> None:
    gradients, passes = [], []
    for checkpointing in (False, True):
        transformer = build()
        if checkpointing:
            transformer.enable_gradient_checkpointing()
        calls: list[int] = []
        for blocks in (transformer.spatial_blocks, transformer.temporal_blocks):
            blocks[1].register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        transformer(**inputs()).sample.square().mean().backward()
        passes.append(len(calls))
        gradients.append({name: parameter.grad for name, parameter in transformer.named_parameters()})
    assert passes == [2, 4]
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        assert gradient.abs().sum() > 0, name
        assert torch.allclose(gradient, gradients[1][name], atol=1e-6), name


def test_first_weights_let_nothing_through_time_or_frame_rate() -> None:
    """As published: temporal blocks and the frame rate begin without effect, all else with some."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = STDiT3(**build().config)
    assert torch.equal(predict(fresh, fps=torch.tensor([1.0, 2.0])), predict(fresh))
    changed = inputs()["hidden_states"].clone()
    changed[:, :, 0] = 0
    difference = (predict(fresh, hidden_states=changed) - predict(fresh)).abs().amax((0, 1, 3, 4))
    assert difference[0] > 1e-3
    assert (difference[1:] == 0).all()


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 0.0), (torch.bfloat16, 0.05)])
def test_what_is_saved_is_loaded(transformer: STDiT3, tmp_path: Path, dtype: torch.dtype, error: float) -> None:
    transformer.save_pretrained(tmp_path)
    loaded = STDiT3.from_pretrained(tmp_path, dtype=dtype)
    assert loaded.dtype == dtype
    assert loaded.rope.freqs.dtype == torch.float32  # positions would not be told apart in bf16
    assert dict(loaded.config).items() >= {"hidden_size": 32, "depth": 2, "input_sq_size": 64}.items()
    expected, output = predict(transformer), predict(loaded)
    assert output.dtype == torch.float32
    assert (output - expected).norm() <= error * expected.norm()


def test_an_adapter_is_saved_and_loaded(tmp_path: Path) -> None:
    adapted, plain = build(), build()
    adapted.add_adapter(LoraConfig(r=2, target_modules=["attn.qkv", "cross_attn.kv_linear"], init_lora_weights=False))
    expected = predict(adapted)
    assert not torch.allclose(expected, predict(plain), atol=1e-2)
    adapted.save_lora_adapter(tmp_path)
    plain.load_lora_adapter(tmp_path, prefix=None, weight_name="pytorch_lora_weights.safetensors")
    assert torch.equal(predict(plain), expected)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"patch_size": (2, 2, 2)}, "patch_size"),
        ({"hidden_size": 30, "num_heads": 2}, "hidden_size 30"),
        ({"hidden_size": 36, "num_heads": 4}, "hidden_size 36"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build(**sizes)
