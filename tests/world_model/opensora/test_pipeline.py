"""The pipeline of Open-Sora: its folder, its samples beside this project's own sampler, first frames, and LoRA."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.opensora.pipeline import OpenSoraPipeline, encode_prompts
from phys4d_kedro.world_model.sampling import initial_noise, sample
from tests.world_model.opensora.tiny_pipeline import FPS, FRAMES, PROMPTS, SIZE, load, video, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("opensora"))


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> OpenSoraPipeline:
    """Shared: not to be changed."""
    return load(folder)


def generate(pipeline: OpenSoraPipeline, **changes: Any) -> Any:
    """Latents from the noise of seed 3, unless `changes` say otherwise."""
    options = {"num_frames": FRAMES, "num_inference_steps": 3, "output_type": "latent", **SIZE}
    noise = {} if "latents" in changes else {"generator": torch.Generator().manual_seed(3)}
    return pipeline(**{"prompt": PROMPTS[0], **options, **noise, **changes}).frames


def images(frames: int, seed: int = 0) -> list[Image.Image]:
    return [Image.fromarray(frame.numpy()) for frame in video(frames, seed=seed)[0]]


def test_a_folder_is_written_and_loaded_whole(pipeline: OpenSoraPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert (index["_class_name"], index["fps"]) == ("OpenSoraPipeline", FPS)
    again = load(tmp_path)
    assert {name: type(part) for name, part in again.components.items()} == {
        name: type(part) for name, part in pipeline.components.items()
    }
    assert again.config.fps == FPS
    assert torch.equal(generate(again), generate(pipeline))


@pytest.mark.parametrize("given", [0, 1, 5])
@pytest.mark.parametrize(("guidance", "negative"), [(1.0, ""), (4.0, ""), (4.0, PROMPTS[1])])
def test_samples_are_this_projects_own(
    folder: Path, pipeline: OpenSoraPipeline, guidance: float, negative: str, given: int
) -> None:
    backbone, size = load_backbone(folder), {"frames": FRAMES, **SIZE}
    frames = video(given) if given else None
    condition = backbone.encode_condition(PROMPTS[:1], frames, frames=FRAMES)
    ours = sample(backbone, condition, **size, steps=3, guidance=guidance, seeds=[3], negative=negative)
    options = {"guidance_scale": guidance, "negative_prompt": negative, "image": images(given) or None}
    theirs = generate(pipeline, **options)
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert torch.allclose(ours, generate(pipeline, latents=initial_noise(backbone, [3], **size), **options), atol=1e-4)
    decoded = generate(pipeline, **options, output_type="pt").movedim(2, -1)
    assert ((backbone.decode_video(ours) / 255 - decoded).abs() <= 0.51 / 255).all()
    assert not torch.allclose(theirs, generate(pipeline, **{**options, "guidance_scale": 2.5}), atol=1e-2)


def test_no_prompt_is_an_embedding_of_its_own(pipeline: OpenSoraPipeline) -> None:
    """Guided with scale 0, a sample has nothing of its prompt but its length."""
    shorter, longer = "A red ball rolls left.", "A red ball rolls left. A blue box falls."
    same = "A blue ball rolls left."
    first = generate(pipeline, prompt=shorter, guidance_scale=0.0)
    assert torch.allclose(first, generate(pipeline, prompt=same, guidance_scale=0.0), atol=1e-5)
    assert not torch.allclose(first, generate(pipeline, prompt=longer, guidance_scale=0.0), atol=1e-3)
    assert not torch.allclose(first, generate(pipeline, prompt=same, guidance_scale=1.0), atol=1e-3)


def test_prompts_are_padded_and_lower_case(pipeline: OpenSoraPipeline) -> None:
    read = [pipeline.tokenizer, pipeline.text_encoder]
    text, mask = encode_prompts(*read, [*PROMPTS, " a RED ball rolls left. "], 12, torch.device("cpu"))
    assert text.shape == (3, 12, 16)
    assert mask.dtype == torch.bool
    assert mask.sum(1).tolist() == [6, 5, 6]  # words and the end
    assert torch.equal(text[0], text[2])
    cut, everywhere = encode_prompts(*read, PROMPTS[:1], 3, torch.device("cpu"))
    assert cut.shape == (1, 3, 16)
    assert everywhere.all()


def test_given_frames_stay_as_they_are(pipeline: OpenSoraPipeline) -> None:
    pixels = video(5)[0].permute(3, 0, 1, 2)[None] / 127.5 - 1
    expected = pipeline.vae.encode(pixels).latent_dist.mode()
    samples = generate(pipeline, image=images(5))
    assert torch.allclose(samples[:, :, :2], expected, atol=1e-5)
    assert not torch.allclose(samples[:, :, 2:], generate(pipeline, image=images(5, seed=1))[:, :, 2:], atol=1e-3)
    assert torch.equal(generate(pipeline, image=images(1)[0]), generate(pipeline, image=images(1)))


def test_a_batch_is_its_videos(pipeline: OpenSoraPipeline) -> None:
    seeds = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    both = generate(pipeline, prompt=PROMPTS, generator=seeds, image=[images(1), images(1, seed=1)])
    for row, prompt in enumerate(PROMPTS):
        seed = torch.Generator().manual_seed(3 + row)
        alone = generate(pipeline, prompt=prompt, generator=seed, image=images(1, seed=row))
        assert torch.allclose(both[row : row + 1], alone, atol=1e-4)


@pytest.mark.parametrize(("frames", "told"), [(FRAMES, [FPS, 30.0]), (1, [120.0, 120.0])])
def test_the_frame_rate_is_told_but_for_images(pipeline: OpenSoraPipeline, frames: int, told: list[float]) -> None:
    seen: list[float] = []
    embedder = pipeline.transformer.fps_embedder
    hook = embedder.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0][0].item()))
    for fps in (None, 30.0):
        generate(pipeline, num_frames=frames, fps=fps, num_inference_steps=1)
    hook.remove()
    assert seen == told


@pytest.mark.parametrize("frames", [1, 8, 17, 18, 34])
def test_videos_have_the_length_that_is_asked_for(pipeline: OpenSoraPipeline, frames: int) -> None:
    made = generate(pipeline, num_frames=frames, num_inference_steps=1, output_type="np")
    assert made.shape == (1, frames, SIZE["height"], SIZE["width"], 3)
    pictures = generate(pipeline, num_frames=frames, num_inference_steps=1, output_type="pil")[0]
    assert [picture.size for picture in pictures] == [(SIZE["width"], SIZE["height"])] * frames


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"height": 30}, "multiples of 4, not 30 and 48"), ({"image": images(10)}, "10 frames cannot be given of 9")],
)
def test_what_does_not_fit_is_refused(pipeline: OpenSoraPipeline, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidClipError, match=message):
        generate(pipeline, **changes)


def test_lora_weights_are_saved_loaded_and_fused(folder: Path, pipeline: OpenSoraPipeline, tmp_path: Path) -> None:
    adapted, plain = load(folder), generate(pipeline)
    targets = ["attn.qkv", "cross_attn.q_linear", "mlp.fc2"]
    adapted.transformer.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=targets, init_lora_weights=False))
    expected = generate(adapted)
    assert not torch.allclose(expected, plain, atol=1e-2)
    OpenSoraPipeline.save_lora_weights(
        tmp_path, transformer_lora_layers=get_peft_model_state_dict(adapted.transformer, adapter_name="default")
    )
    loaded = load(folder)
    loaded.load_lora_weights(tmp_path)
    assert torch.allclose(generate(loaded), expected, atol=1e-5)
    loaded.fuse_lora()
    assert torch.allclose(generate(loaded), expected, atol=1e-3)
    loaded.unfuse_lora()
    loaded.unload_lora_weights()
    assert torch.allclose(generate(loaded), plain, atol=1e-3)


def test_a_folder_without_a_frame_rate_has_the_published_one(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    index = json.loads((copy / "model_index.json").read_text())
    del index["fps"]
    (copy / "model_index.json").write_text(json.dumps(index))
    assert load(copy).config.fps == 24
