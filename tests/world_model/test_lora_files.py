"""Adapters as folders: diffusers samples with them what we do, they come back bitwise, foreign ones change nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard as HubCard
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from phys4d_kedro.errors import CheckpointError, ConfigurationError
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.config import LoadingConfig, LoraSettings
from phys4d_kedro.world_model.lora import lora_parameters, lora_state
from phys4d_kedro.world_model.lora_files import WEIGHTS, export_merged, load_lora, save_lora
from phys4d_kedro.world_model.sampling import initial_noise
from tests.world_model.families import FORMS, PROMPTS, SIZE, Form, stock_pipeline, stock_sample
from tests.world_model.lora_cases import CARD, SETTINGS, copies, latents_of, move, same, with_lora

WAN, COGVIDEOX = FORMS[0], next(form for form in FORMS if form.name == "CogVideoX I2V")
LAYER = "transformer.blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def wan_folder(folder_of: Callable[[Form], Path]) -> Path:
    return folder_of(WAN)


@pytest.fixture(scope="module")
def lora_folder(wan_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    save_lora(with_lora(wan_folder), folder, card=CARD)
    return folder


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, LoraSettings(rank=4, alpha=2, dropout=0.5, targets=("to_k", "to_out.0"))],
    ids=["alpha 2 rank", "alpha 1/2 rank, own targets"],
)
def test_the_stock_pipeline_samples_with_the_exported_adapter_what_we_do(
    form: Form, folder: Path, tmp_path: Path, settings: LoraSettings
) -> None:
    if not form.stock:
        pytest.skip("diffusers has no pipeline of this family")
    backbone = with_lora(folder, settings)
    ours = latents_of(form, backbone, guidance=3.0)
    save_lora(backbone, tmp_path, card=CARD)
    pipeline = stock_pipeline(folder)
    pipeline.load_lora_weights(tmp_path)
    noise = initial_noise(backbone, [3], **SIZE)
    options = {
        "prompt": PROMPTS[0],
        "negative_prompt": PROMPTS[1],
        "guidance_scale": 3.0,
        "num_inference_steps": 3,
    }
    assert torch.allclose(stock_sample(form, pipeline, noise, **options), ours, atol=1e-4)
    pipeline.unload_lora_weights()
    assert not torch.allclose(stock_sample(form, pipeline, noise, **options), ours, atol=0.05)


def settings_of(folder: Path) -> dict[str, Any]:
    with safe_open(folder / WEIGHTS, "pt") as file:
        return json.loads(file.metadata()["lora_adapter_metadata"])


def test_an_adapter_comes_back_bitwise(form: Form, folder: Path, tmp_path: Path) -> None:
    backbone = with_lora(folder)
    save_lora(backbone, tmp_path / "one", card=CARD)
    again = load_backbone(folder)
    load_lora(again, tmp_path / "one")
    assert same(lora_state(again.transformer), lora_state(backbone.transformer))
    assert torch.equal(latents_of(form, again), latents_of(form, backbone))
    assert all(p.requires_grad for p in lora_parameters(again.transformer))
    save_lora(again, tmp_path / "two", card=CARD)
    one, two = (tmp_path / name for name in ("one", "two"))
    assert {path.name for path in one.iterdir()} == {WEIGHTS, "README.md"}
    assert (one / "README.md").read_bytes() == (two / "README.md").read_bytes()
    assert same(*(load_file(folder / WEIGHTS) for folder in (one, two)))
    assert settings_of(one) == settings_of(two)


def test_equal_adapters_are_equal_bytes(wan_folder: Path, tmp_path: Path) -> None:
    """The writer below us orders metadata at random, anew for every file."""
    backbone = with_lora(wan_folder)
    for name in "abcdef":
        save_lora(backbone, tmp_path / name, card=CARD)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abcdef"]
    assert all(found == files[0] for found in files)


def test_the_merged_folder_is_the_model_with_its_adapter_on(form: Form, folder: Path, tmp_path: Path) -> None:
    backbone = with_lora(folder)
    ours, before = latents_of(form, backbone), copies(backbone.transformer.state_dict())
    export_merged(backbone, tmp_path / "merged", card=CARD)
    assert same(backbone.transformer.state_dict(), before)
    assert torch.equal(latents_of(form, backbone), ours)
    merged = load_backbone(tmp_path / "merged")
    assert merged.transformer.state_dict().keys() == load_backbone(folder).transformer.state_dict().keys()
    assert torch.allclose(latents_of(form, merged), ours, atol=1e-4)
    assert merged.fingerprint("vae", "text_encoder", "tokenizer") == backbone.fingerprint(
        "vae", "text_encoder", "tokenizer"
    )
    configs = [json.loads((path / "transformer/config.json").read_text()) for path in (folder, tmp_path / "merged")]
    configs[0].pop("_name_or_path", None)  # where it was once read from
    assert configs[1] == configs[0]
    if form.stock:
        options = {"prompt": PROMPTS[0], "guidance_scale": 1.0, "num_inference_steps": 3}
        noise = initial_noise(backbone, [3], **SIZE)
        assert torch.allclose(
            stock_sample(form, stock_pipeline(tmp_path / "merged"), noise, **options), ours, atol=1e-4
        )


def test_merging_keeps_the_bases_precision(wan_folder: Path, tmp_path: Path) -> None:
    backbone = with_lora(wan_folder, loading=LoadingConfig(dtype="bf16"))
    export_merged(backbone, tmp_path, card=CARD)
    state = lora_state(backbone.transformer)
    a, b = (state[f"blocks.0.attn1.to_q.lora_{half}.weight"] for half in "AB")
    base = load_file(wan_folder / "transformer/diffusion_pytorch_model.safetensors")["blocks.0.attn1.to_q.weight"]
    merged = load_file(tmp_path / "transformer/diffusion_pytorch_model.safetensors")["blocks.0.attn1.to_q.weight"]
    assert merged.dtype == torch.bfloat16
    expected = base.bfloat16().float() + 2 * b @ a
    assert torch.allclose(merged.float(), expected, rtol=2**-8)


def test_cards_say_what_the_weights_are(wan_folder: Path, lora_folder: Path, tmp_path: Path) -> None:
    card = HubCard.load(lora_folder / "README.md")
    assert "rank 3, alpha 6" in card.text
    assert "WanImageToVideoPipeline" in card.text
    assert "load_lora_weights" in card.text
    assert card.data.pipeline_tag == "image-to-video"
    export_merged(with_lora(wan_folder), tmp_path, card=CARD)
    merged = HubCard.load(tmp_path / "README.md")
    assert "merged" in merged.text
    assert "load_lora_weights" not in merged.text


def test_an_adapter_that_diffusers_wrote_without_settings_is_read(
    wan_folder: Path, lora_folder: Path, tmp_path: Path
) -> None:
    """alpha is the rank then, as diffusers has it."""
    save_file(load_file(lora_folder / WEIGHTS), tmp_path / WEIGHTS)
    backbone = load_backbone(wan_folder)
    load_lora(backbone, tmp_path)
    expected = with_lora(wan_folder, LoraSettings(rank=3, alpha=3))
    assert torch.equal(latents_of(WAN, backbone), latents_of(WAN, expected))


def without_half(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in tensors.items() if key != f"{LAYER}.lora_B.weight"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {}, "0 of 0 keys .* it is empty"),
        (lambda t: {**t, "lora_te.x": torch.zeros(1)}, r"1 of 41 keys are not .*lora_te\.x; load it in diffusers"),
        (lambda t: {f"text_encoder.{k}": v for k, v in t.items()}, "40 of 40 keys are not"),
        (lambda t: {**t, f"{LAYER}.lora_A.weight": torch.zeros(3, 7)}, r"1 of its 40 .*attn1\.to_q\.lora_A.*\(3, 7\)"),
        (lambda t: {**t, f"{LAYER}.lora_B.weight": torch.zeros(32, 4)}, r"1 of its 40 .*lora_B\.weight \(32, 4\)"),
        (lambda t: {**t, f"{LAYER}.lora_A.weight": torch.zeros(())}, r"1 of its 40 .*lora_A\.weight \(\)"),
        (without_half, r"1 of its 39 .*to_q\.lora_A\.weight .*load it into the base"),
        (lambda t: {k.replace("blocks.1", "blocks.9"): v for k, v in t.items()}, r"20 of its 40 .*blocks\.9"),
        (lambda t: {k.replace("attn1.to_q", "norm2"): v for k, v in t.items()}, r"4 of its 40 .*norm2"),
    ],
)
def test_foreign_files_are_refused_and_nothing_changes(
    wan_folder: Path,
    lora_folder: Path,
    tmp_path: Path,
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
    message: str,
) -> None:
    save_file(change(load_file(lora_folder / WEIGHTS)), tmp_path / WEIGHTS)
    refuses(wan_folder, tmp_path, message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": 3, "lora_alpha": 6, "use_rslora": True}, "use_rslora: an adapter has one rank"),
        ({"r": 3, "alpha_pattern": {"to_q": 1}, "use_dora": True}, "alpha_pattern, use_dora"),
        ({"r": 4, "lora_alpha": 6}, "the first r: an adapter has one rank, that of its tensors"),
    ],
)
def test_adapters_scaled_in_other_ways_are_refused(
    wan_folder: Path, lora_folder: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    packed = json.dumps({f"transformer.{key}": value for key, value in settings.items()})
    save_file(load_file(lora_folder / WEIGHTS), tmp_path / WEIGHTS, metadata={"lora_adapter_metadata": packed})
    refuses(wan_folder, tmp_path, message)


def test_missing_damaged_and_other_families_files_are_refused(
    wan_folder: Path, lora_folder: Path, tmp_path: Path, folder_of: Callable[[Form], Path]
) -> None:
    refuses(wan_folder, tmp_path, "is missing or damaged .*what save_lora writes")
    (tmp_path / WEIGHTS).write_bytes((lora_folder / WEIGHTS).read_bytes()[:-40])
    refuses(wan_folder, tmp_path, "is missing or damaged")
    save_file(load_file(lora_folder / WEIGHTS), tmp_path / WEIGHTS, metadata={"lora_adapter_metadata": "{"})
    refuses(wan_folder, tmp_path, "is missing or damaged")
    cogvideox = folder_of(COGVIDEOX)
    refuses(cogvideox, lora_folder, r"40 of its 40 .*this CogVideoXTransformer3DModel, the first blocks\.0")
    save_lora(with_lora(cogvideox), tmp_path / "cogvideox", card=CARD)
    refuses(wan_folder, tmp_path / "cogvideox", r"this WanTransformer3DModel, the first transformer_blocks\.0")


def refuses(base: Path, lora: Path, message: str) -> None:
    backbone = load_backbone(base)
    before = copies(backbone.transformer.state_dict())
    with pytest.raises(CheckpointError, match=message) as error:
        load_lora(backbone, lora)
    assert str(lora / WEIGHTS) in str(error.value)
    assert same(backbone.transformer.state_dict(), before)
    assert not hasattr(backbone.transformer, "peft_config")


def test_what_cannot_be_written_is_refused(wan_folder: Path, lora_folder: Path, tmp_path: Path) -> None:
    backbone = load_backbone(wan_folder)
    for write in (save_lora, export_merged):
        with pytest.raises(ConfigurationError, match="has no LoRA adapter"):
            write(backbone, tmp_path / "new", card=CARD)
    assert not (tmp_path / "new").exists()
    load_lora(backbone, lora_folder)
    with pytest.raises(ConfigurationError, match="already: remove_lora"):
        load_lora(backbone, lora_folder)
    copy = tmp_path / "copy"
    shutil.copytree(wan_folder, copy)
    own = with_lora(copy)
    before = own.fingerprint("transformer")
    with pytest.raises(ConfigurationError, match="the backbone's own folder"):
        export_merged(own, copy / ".." / "copy", card=CARD)
    assert own.fingerprint("transformer") == before
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps({**index, "_class_name": "WanNoSuchPipeline"}))
    for write in (save_lora, export_merged):
        with pytest.raises(CheckpointError, match="names a WanNoSuchPipeline, which has no LoRA"):
            write(own, tmp_path / "new", card=CARD)
    assert not (tmp_path / "new").exists()


def test_the_file_holds_float32_and_its_scale(wan_folder: Path, tmp_path: Path) -> None:
    """Also of a half-precision base: what was trained is not rounded."""
    backbone = with_lora(wan_folder, loading=LoadingConfig(dtype="bf16"))
    move(backbone.transformer, seed=9)
    save_lora(backbone, tmp_path, card=CARD)
    tensors = {key.removeprefix("transformer."): value for key, value in load_file(tmp_path / WEIGHTS).items()}
    assert same(tensors, lora_state(backbone.transformer))
    settings = settings_of(tmp_path)
    assert (settings["transformer.r"], settings["transformer.lora_alpha"]) == (3, 6)
