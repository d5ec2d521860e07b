"""What is CogVideoX's own: its timesteps, its stochastic sampler, first frames, and what it does not take."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import CogVideoXDPMScheduler, CogVideoXTransformer3DModel

from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.world_model.backbones.cogvideox import CogVideoXBackbone
from phys4d_kedro.world_model.folders import write_with_component
from phys4d_kedro.world_model.sampling import initial_noise, sample
from tests.world_model.families import FORMS, PROMPTS, SIZE, Form, randomise, stock_pipeline, stock_sample, video

FRAMES = SIZE["frames"]
TEXT_FORM, IMAGE_FORM = (form for form in FORMS if form.name.startswith("CogVideoX"))


@pytest.fixture(scope="module")
def text_folder(folder_of: Callable[[Form], Path]) -> Path:
    return folder_of(TEXT_FORM)


@pytest.fixture(scope="module")
def image_folder(folder_of: Callable[[Form], Path]) -> Path:
    return folder_of(IMAGE_FORM)


def changed(folder: Path, target: Path, file: str, **values: Any) -> Path:
    """A copy of a folder with other values in one of its JSON files."""
    shutil.copytree(folder, target)
    (target / file).write_text(json.dumps({**json.loads((target / file).read_text()), **values}))
    return target


def test_levels_are_the_schedulers_timesteps(text_folder: Path) -> None:
    backbone = CogVideoXBackbone(text_folder)
    timesteps = torch.arange(1000)
    levels = (timesteps + 1) / 1000
    clean = torch.randn(1000, 4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(1000, 4, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    condition = backbone.encode_condition(PROMPTS[:1], None, frames=1)
    noisy = backbone.add_noise(clean, noise, levels, condition)
    assert torch.allclose(noisy, backbone.scheduler.add_noise(clean, noise, timesteps), atol=1e-5)
    target = backbone.target(clean, noise, levels)
    assert torch.allclose(target, backbone.scheduler.get_velocity(clean, noise, timesteps), atol=1e-5)


def test_the_transformer_is_told_timesteps(text_folder: Path) -> None:
    backbone = CogVideoXBackbone(text_folder)
    told = []
    hook = backbone.transformer.time_proj.register_forward_pre_hook(lambda _module, args: told.append(args[0]))
    condition = backbone.encode_condition(PROMPTS[:1] * 5, None, frames=1)
    backbone.predict(torch.zeros(5, 4, 1, 8, 8), torch.tensor([0.0, 0.001, 0.29, 0.5754, 1.0]), condition)
    hook.remove()
    assert told[0].dtype == torch.int64
    assert told[0].tolist() == [0, 0, 289, 574, 999]


def test_a_sampler_goes_through_the_schedulers_timesteps(text_folder: Path) -> None:
    backbone = CogVideoXBackbone(text_folder)
    stepper = backbone.stepper(7, **SIZE, generators=[torch.Generator()])
    scheduler = backbone.scheduler
    scheduler.set_timesteps(7)
    assert [round(1000 * level) - 1 for level in stepper.levels] == scheduler.timesteps.tolist()
    assert stepper.levels[0] == 1


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_the_stochastic_sampler_is_the_stock_pipelines(text_folder: Path, tmp_path: Path, guidance: float) -> None:
    """DPM-Solver++ keeps the last estimate of the clean latents, and draws noise."""
    folder = tmp_path / "dpm"
    shutil.copytree(text_folder, folder)
    shutil.rmtree(folder / "scheduler")
    backbone = CogVideoXBackbone(text_folder)
    CogVideoXDPMScheduler.from_config(backbone.scheduler.config).save_pretrained(folder / "scheduler")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "CogVideoXDPMScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    backbone = CogVideoXBackbone(folder)
    condition = backbone.encode_condition(PROMPTS[:1], None, frames=FRAMES)
    ours = sample(backbone, condition, **SIZE, steps=4, guidance=guidance, seeds=[3], negative=PROMPTS[1])
    theirs = stock_sample(
        TEXT_FORM,
        stock_pipeline(folder),
        initial_noise(backbone, [3], **SIZE),
        prompt=PROMPTS[0],
        negative_prompt=PROMPTS[1],
        guidance_scale=guidance,
        num_inference_steps=4,
        generator=torch.Generator().manual_seed(3),
    )
    assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(("inverted", "factor"), [(True, 1 / 0.7), (False, 0.7)])
def test_the_first_frames_latents_are_beside_zeros(
    image_folder: Path, tmp_path: Path, inverted: bool, factor: float
) -> None:
    folder = changed(image_folder, tmp_path / "copy", "vae/config.json", invert_scale_latents=inverted)
    backbone = CogVideoXBackbone(folder)
    rgb = video()[:, :1]
    frames = backbone.encode_condition(PROMPTS[:1], rgb, frames=FRAMES).frames
    assert frames.shape == (1, *backbone.latent_shape(**SIZE))
    assert torch.allclose(frames[:, :, :1], backbone.encode_video(rgb) / 0.7 * factor, atol=1e-5)
    assert not frames[:, :, 1:].any()


def test_frame_counts_that_the_vae_does_not_give_back_are_refused(text_folder: Path) -> None:
    backbone = CogVideoXBackbone(text_folder)
    for frames in (1, 5, 9, 13, 17):
        rgb = video(frames=frames)
        if backbone.decode_video(backbone.encode_video(rgb)).shape == rgb.shape:
            backbone.check_size(**{**SIZE, "frames": frames})
        else:
            with pytest.raises(InvalidClipError, match=r"1 \+ 8 k"):
                backbone.check_size(**{**SIZE, "frames": frames})


def test_learned_positions_fit_one_size(image_folder: Path, tmp_path: Path) -> None:
    config = CogVideoXTransformer3DModel.load_config(image_folder, subfolder="transformer")
    learned = {"sample_frames": FRAMES, "sample_height": SIZE["height"] // 4, "sample_width": SIZE["width"] // 4}
    transformer = CogVideoXTransformer3DModel.from_config(
        {**config, **learned, "use_learned_positional_embeddings": True}
    )
    randomise(transformer)
    transformer.patch_embed.pos_embedding.normal_(generator=torch.Generator().manual_seed(0))
    folder = tmp_path / "learned"
    write_with_component(image_folder, "transformer", transformer, folder)
    backbone = CogVideoXBackbone(folder)
    backbone.check_size(**SIZE)
    for other in ({"frames": 17}, {"frames": 1}, {"height": 48}, {"height": 48, "width": 32}):
        with pytest.raises(InvalidClipError, match="learned, for 9 frames of 32x48 pixels"):
            backbone.check_size(**{**SIZE, **other})
    condition = backbone.encode_condition(PROMPTS[:1], video()[:, :1], frames=FRAMES)
    ours = sample(backbone, condition, **SIZE, steps=2, guidance=1.0, seeds=[3])
    options = {"prompt": PROMPTS[0], "guidance_scale": 1.0, "num_inference_steps": 2}
    theirs = stock_sample(IMAGE_FORM, stock_pipeline(folder), initial_noise(backbone, [3], **SIZE), **options)
    assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("transformer/config.json", {"patch_size_t": 2}, "CogVideoX 1.5"),
        ("transformer/config.json", {"ofs_embed_dim": 512}, "CogVideoX 1.5"),
        ("scheduler/scheduler_config.json", {"prediction_type": "epsilon"}, "prediction_type .* is epsilon"),
        ("model_index.json", {"_class_name": "CogVideoXFunControlPipeline"}, "holds a CogVideoXFunControlPipeline"),
        ("model_index.json", {"_class_name": "WanPipeline"}, "WanPipeline, not a CogVideoX"),
    ],
)
def test_models_that_are_not_taken_are_refused(
    text_folder: Path, tmp_path: Path, file: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        CogVideoXBackbone(changed(text_folder, tmp_path / "copy", file, **values))


def test_a_folder_without_configuration_is_named(text_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(text_folder, tmp_path / "copy")
    (tmp_path / "copy" / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"scheduler_config\.json is missing or damaged"):
        CogVideoXBackbone(tmp_path / "copy")
