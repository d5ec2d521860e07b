"""Published checkpoints of Open-Sora become a pipeline folder; what is wrong with them is said."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, T5EncoderModel

from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.world_model.folders import read_model_index
from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder
from phys4d_kedro.world_model.opensora.convert import convert, main
from phys4d_kedro.world_model.opensora.pipeline import OpenSoraPipeline
from phys4d_kedro.world_model.opensora.transformer import STDiT3
from tests.world_model.opensora.published import CAPTION, DEPTH, HEADS, HIDDEN, TOKENS, Published, write_published
from tests.world_model.opensora.tiny_autoencoder import TINY, build


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return write_published(tmp_path / "published")


# What comes out


def test_every_tensor_comes_through(published: Published, tmp_path: Path) -> None:
    output = published.convert(tmp_path / "opensora")
    assert read_model_index(output, family="OpenSora")["_class_name"] == "OpenSoraPipeline"
    transformer = STDiT3.from_pretrained(output, subfolder="transformer")
    raw = load_file(published.transformer / "model.safetensors")
    state = transformer.state_dict()
    assert set(raw) - {"rope.freqs"} == set(state) - {"rope.freqs"}
    assert all(torch.equal(state[name], raw[name]) for name in set(raw) & set(state))
    vae = OpenSoraAutoencoder.from_pretrained(output, subfolder="vae")
    raw = load_file(published.vae / "model.safetensors")
    assert set(raw) == set(vae.state_dict())
    assert all(torch.equal(tensor, raw[name]) for name, tensor in vae.state_dict().items())
    prompt = "A red ball rolls left."
    ids, encoded = [], []
    for tokens, encoder in [
        (published.text_encoder, published.text_encoder),
        (output / "tokenizer", output / "text_encoder"),
    ]:
        ids.append(AutoTokenizer.from_pretrained(tokens)(prompt, return_tensors="pt").input_ids)
        encoded.append(T5EncoderModel.from_pretrained(encoder)(ids[-1]).last_hidden_state)
    assert torch.equal(*ids)
    assert torch.allclose(*encoded)


def test_the_folder_loads_as_a_pipeline_of_the_published_sizes(published: Published, tmp_path: Path) -> None:
    pipeline = OpenSoraPipeline.from_pretrained(published.convert(tmp_path / "opensora"))
    assert type(pipeline.transformer) is STDiT3
    assert type(pipeline.vae) is OpenSoraAutoencoder
    config = pipeline.transformer.config
    assert (config.hidden_size, config.depth, config.num_heads, config.caption_channels) == (
        HIDDEN,
        DEPTH,
        HEADS,
        CAPTION,
    )


def test_outputs_are_those_of_the_published_tensors(published: Published, tmp_path: Path) -> None:
    output = published.convert(tmp_path / "opensora")
    vae = build()
    vae.load_state_dict(load_file(published.vae / "model.safetensors"))
    pixels = torch.rand(1, 3, 5, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    converted = OpenSoraAutoencoder.from_pretrained(output, subfolder="vae")
    latents = [model.encode(pixels).latent_dist.mode() for model in (vae, converted)]
    assert torch.allclose(*latents, atol=1e-5)
    sizes = {"hidden_size": HIDDEN, "depth": DEPTH, "num_heads": HEADS, "caption_channels": CAPTION}
    transformer = STDiT3(**sizes, model_max_length=TOKENS)
    transformer.load_state_dict(load_file(published.transformer / "model.safetensors"))
    inputs = {
        "timestep": torch.tensor([400.0]),
        "encoder_hidden_states": torch.linspace(-1, 1, TOKENS * CAPTION).view(1, TOKENS, CAPTION),
        "fps": torch.tensor([24.0]),
        "height": 8,
        "width": 8,
    }
    converted = STDiT3.from_pretrained(output, subfolder="transformer")
    velocities = [model(latents[0], **inputs).sample for model in (transformer, converted)]
    assert torch.allclose(*velocities, atol=1e-5)
    assert velocities[0].std() > 0.01


def test_files_are_sharded(published: Published, tmp_path: Path) -> None:
    output = published.convert(tmp_path / "opensora", shard_size="100KB")
    for part in ("transformer", "vae"):
        assert len(list((output / part).glob("*.safetensors"))) > 1
    state = STDiT3.from_pretrained(output, subfolder="transformer").state_dict()
    raw = load_file(published.transformer / "model.safetensors")
    assert torch.equal(state["final_layer.linear.weight"], raw["final_layer.linear.weight"])


def test_a_checkpoint_in_shards_is_read(published: Published, tmp_path: Path) -> None:
    whole = published.transformer / "model.safetensors"
    tensors = list(load_file(whole).items())
    save_file(dict(tensors[::2]), published.transformer / "model-00001-of-00002.safetensors")
    save_file(dict(tensors[1::2]), published.transformer / "model-00002-of-00002.safetensors")
    whole.unlink()
    state = STDiT3.from_pretrained(published.convert(tmp_path / "opensora"), subfolder="transformer").state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors if name != "rope.freqs")


@pytest.mark.parametrize("dtype", [torch.bfloat16, None])
def test_all_weights_have_the_precision(published: Published, tmp_path: Path, dtype: torch.dtype | None) -> None:
    output = published.convert(tmp_path / "opensora", dtype=dtype)
    precisions = {
        name: tensor.dtype for file in output.rglob("*.safetensors") for name, tensor in load_file(file).items()
    }
    assert precisions.pop("rope.freqs") == torch.float32  # the transformer turns by exact angles
    assert set(precisions.values()) == {dtype or torch.float32}


@pytest.mark.parametrize("keep", [True, False])
def test_what_is_computed_may_be_there_or_not(published: Published, tmp_path: Path, keep: bool) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        if keep:
            tensors["pos_embed.inv_freq"] = torch.ones(HIDDEN // 4)
        else:
            del tensors["rope.freqs"]

    published.edit("transformer", change)
    with torch.no_grad():
        transformer = STDiT3.from_pretrained(published.convert(tmp_path / "opensora"), subfolder="transformer")
    assert not any(tensor.is_meta for tensor in transformer.state_dict().values())


# What is refused


def refused(published: Published, output: Path, *parts: object) -> None:
    """The error names all parts in their order, and nothing is left behind."""
    pattern = ".*".join(re.escape(str(part)) for part in parts)
    with pytest.raises(CheckpointError, match=f"(?s){pattern}"):
        published.convert(output)
    assert not list(output.parent.glob("*opensora*"))


def drop(*names: str) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda tensors: [tensors.pop(name) for name in names] and None


def put(name: str, *shape: int) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda tensors: tensors.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("transformer", drop("t_block.1.bias"), ["model.safetensors lacks t_block.1.bias:", "hf download"]),
        (
            "transformer",
            drop(*(f"spatial_blocks.1.mlp.fc{i}.{kind}" for i in (1, 2) for kind in ("weight", "bias"))),
            ["lacks spatial_blocks.1.mlp.fc1.weight, ", " and 1 more"],
        ),
        (
            "transformer",
            put("t_block.2.weight", 1),
            ["has no use for t_block.2.weight", "hpcai-tech/OpenSora-STDiT-v3"],
        ),
        (
            "transformer",
            put("final_layer.linear.bias", 16),
            ["has other shapes for final_layer.linear.bias (16,) instead of (32,)", "config.json"],
        ),
        ("vae", drop("scale"), ["model.safetensors lacks scale:", "hpcai-tech/OpenSora-VAE-v1.2"]),
        ("vae", put("temporal_vae.more", 1), ["has no use for temporal_vae.more"]),
        ("vae", put("rope.freqs", 1), ["has no use for rope.freqs"]),
        ("vae", put("shift", 1, 8, 1, 1, 1), ["shift (1, 8, 1, 1, 1) instead of (1, 4, 1, 1, 1)"]),
    ],
)
def test_odd_tensors_are_named(
    published: Published, tmp_path: Path, part: str, change: Callable[..., None], told: list[str]
) -> None:
    published.edit(part, change)
    refused(published, tmp_path / "opensora", getattr(published, part), *told)


@pytest.mark.parametrize(
    ("part", "files", "told"),
    [
        ("transformer", "model.safetensors", ["has no model.safetensors", "hpcai-tech/OpenSora-STDiT-v3"]),
        ("transformer", "config.json", ["config.json is missing"]),
        ("vae", "model.safetensors", ["has no model.safetensors", "hpcai-tech/OpenSora-VAE-v1.2"]),
        ("text_encoder", "config.json", ["config.json is missing", "DeepFloyd/t5-v1_1-xxl"]),
        ("text_encoder", "model.safetensors", ["has no T5 encoder that can be read"]),
        ("text_encoder", "tokenizer*", ["has no tokenizer (tokenizer.json or spiece.model)"]),
    ],
)
def test_missing_files_are_named(published: Published, tmp_path: Path, part: str, files: str, told: list[str]) -> None:
    folder: Path = getattr(published, part)
    for file in folder.glob(files):
        file.unlink()
    refused(published, tmp_path / "opensora", folder, *told)


def test_a_missing_folder_is_named(published: Published, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere has no model.safetensors"):
        convert(tmp_path / "nowhere", published.vae, published.text_encoder, tmp_path / "opensora")


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", None])
def test_a_file_that_is_cut_or_a_pointer_is_named(published: Published, tmp_path: Path, content: bytes | None) -> None:
    path = published.vae / "model.safetensors"
    path.write_bytes(content or path.read_bytes()[:-100])
    refused(published, tmp_path / "opensora", path, "is damaged")


@pytest.mark.parametrize(
    ("part", "values", "told"),
    [
        ("transformer", {"model_type": "STDiT2"}, ["model_type is STDiT2, not STDiT3"]),
        ("text_encoder", {"model_type": "umt5"}, ["model_type is umt5, not t5"]),
        ("text_encoder", {"d_model": 8}, ["prompts of 16 channels", "text encoder has 8"]),
        ("transformer", {"hidden_size": 64}, ["x_embedder.proj.weight (32, 4, 1, 2, 2) instead of (64,"]),
    ],
)
def test_other_models_are_refused(
    published: Published, tmp_path: Path, part: str, values: dict[str, Any], told: list[str]
) -> None:
    path = getattr(published, part) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    refused(published, tmp_path / "opensora", *told)


def test_a_text_encoder_that_lacks_a_tensor_is_refused(published: Published, tmp_path: Path) -> None:
    name = "encoder.block.0.layer.0.SelfAttention.q.weight"
    published.edit("text_encoder", drop(name))
    refused(published, tmp_path / "opensora", published.text_encoder, f"lacks {name}")


def test_latents_of_another_width_are_refused(published: Published, tmp_path: Path) -> None:
    sizes = {"latent_channels": 3, "latent_shift": (0.0,) * 3, "latent_scale": (1.0,) * 3}
    save_file(build(**sizes).state_dict(), published.vae / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"takes latents of 4 channels .* the VAE has 3"):
        convert(
            published.transformer,
            published.vae,
            published.text_encoder,
            tmp_path / "opensora",
            vae_sizes={**TINY, **sizes},
        )


def test_an_output_that_is_not_empty_is_left_alone(published: Published, tmp_path: Path) -> None:
    output = tmp_path / "opensora"
    output.mkdir()
    published.convert(output)  # an empty folder is taken
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    with pytest.raises(CheckpointError, match="opensora exists and is not an empty folder"):
        published.convert(output)
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


def test_a_tokenizer_that_cannot_be_read_is_named(published: Published, tmp_path: Path) -> None:
    """As published, it is spiece.model alone, which takes packages that nothing else here needs."""
    (published.text_encoder / "tokenizer.json").unlink()
    (published.text_encoder / "spiece.model").write_bytes(b"damaged")
    refused(published, tmp_path / "opensora", published.text_encoder, "cannot be read", "pip install sentencepiece")


# The command line


def test_the_command_line_says_what_is_wrong(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tiny VAE is not of the published sizes, which are the only ones that the command line knows."""
    options = {"--transformer": published.transformer, "--vae": published.vae, "--text-encoder": published.text_encoder}
    arguments = [str(word) for option in options.items() for word in option]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, str(tmp_path / "opensora"), "--dtype", "bf16"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{published.vae / 'model.safetensors'} lacks ")
    assert "Traceback" not in said


def test_the_command_line_wants_all_folders(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--transformer", "there", "out"])
    assert ended.value.code == 2
    assert "--vae, --text-encoder" in capsys.readouterr().err
