"""What every family promises of sizes, noise, conditions and samples, proved on every form of every family."""

from pathlib import Path

import pytest
import torch

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.world_model.backbones.base import Backbone, Condition
from phys4d_kedro.world_model.sampling import initial_noise, sample
from tests.world_model.families import (
    GRID,
    PROMPTS,
    SIZE,
    Form,
    first_frames,
    noise_like,
    stock_pipeline,
    stock_sample,
    video,
)

FRAMES = SIZE["frames"]


def test_sizes_agree(form: Form, backbone: Backbone, latents: torch.Tensor) -> None:
    backbone.check_size(**SIZE)
    t, rows, columns = GRID
    assert latents.shape == (1, *backbone.latent_shape(**SIZE))
    assert latents.dtype == torch.float32
    assert latents.shape[2] == 1 + (FRAMES - 1) // backbone.temporal_compression == t
    assert (rows * backbone.token_pixels, columns * backbone.token_pixels) == (SIZE["height"], SIZE["width"])
    decoded = backbone.decode_video(latents)
    assert decoded.shape == video().shape
    assert decoded.dtype == torch.uint8
    assert backbone.takes_first_frame == (form.places is not None)


def test_pixels_are_the_videos_and_lead_back_to_latents(backbone: Backbone, latents: torch.Tensor) -> None:
    latents = latents.clone().requires_grad_()
    pixels = backbone.decode_pixels(latents)
    assert pixels.dtype == torch.float32
    shown = ((pixels.detach() + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 4, 1)
    assert torch.equal(shown.byte(), backbone.decode_video(latents))
    direction = noise_like(latents)
    (gradient,) = torch.autograd.grad(pixels.square().sum(), latents)
    step = 1e-3
    with torch.no_grad():
        ends = [backbone.decode_pixels(latents + sign * step * direction).double().square().sum() for sign in (1, -1)]
    slope = float(ends[0] - ends[1]) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=0.05)
    assert (gradient.abs().amax((0, 1, 3, 4)) > 0).all()  # of every latent frame


@pytest.mark.parametrize("change", [{"frames": 8}, {"frames": 11}, {"height": 36}, {"width": 50}])
def test_sizes_that_do_not_fit_are_refused(backbone: Backbone, change: dict[str, int]) -> None:
    with pytest.raises(InvalidClipError, match=r"do not fit .*(must be|multiples)"):
        backbone.check_size(**{**SIZE, **change})


def test_the_longest_video_is_known(form: Form, backbone: Backbone) -> None:
    if form.longest is None:
        backbone.check_size(**{**SIZE, "frames": 801})
        return
    backbone.check_size(**{**SIZE, "frames": form.longest})
    with pytest.raises(InvalidClipError, match=f"(at most|up to) {form.longest}"):
        backbone.check_size(**{**SIZE, "frames": form.longest + 8 - (form.longest + 7) % 8})


def test_noise_levels_run_from_the_clean_clip_to_noise(
    backbone: Backbone, latents: torch.Tensor, condition: Condition
) -> None:
    noise, mask = noise_like(latents), backbone.loss_mask(latents, condition)
    clean = backbone.place_given(latents, condition)
    assert torch.equal(backbone.add_noise(latents, noise, torch.zeros(1), condition), clean)
    assert torch.equal(backbone.add_noise(latents, noise, torch.ones(1), condition) * mask, noise * mask)
    correlations = []
    for level in (0.2, 0.5, 0.8):
        noisy = backbone.add_noise(latents, noise, torch.tensor([level]), condition) * mask
        correlations.append(torch.corrcoef(torch.stack([noisy.flatten(), (noise * mask).flatten()]))[0, 1].item())
    assert correlations == sorted(correlations)
    assert correlations[0] < 0.95 * correlations[-1]


def test_target_means_the_clean_latents(backbone: Backbone, latents: torch.Tensor, condition: Condition) -> None:
    level = torch.tensor([0.0, 0.001, 0.25, 0.999, 1.0])
    clean, conditions = latents.expand(5, -1, -1, -1, -1), Condition.stack([condition] * 5)
    noise = noise_like(clean)
    noisy = backbone.add_noise(clean, noise, level, conditions)
    recovered = backbone.to_clean(noisy, backbone.target(clean, noise, level), level)
    mask = backbone.loss_mask(clean, conditions)
    assert torch.allclose(recovered * mask, clean * mask, atol=1e-5)


def test_given_frames_stay_clean(form: Form, backbone: Backbone, latents: torch.Tensor) -> None:
    for given in form.given:
        rgb = video()[:, :given] if given else None
        condition = backbone.encode_condition(PROMPTS[:1], rgb, frames=FRAMES)
        noisy = backbone.add_noise(latents, noise_like(latents), torch.tensor([0.7]), condition)
        mask = backbone.loss_mask(latents, condition)
        assert mask.shape == (1, 1, latents.shape[2], 1, 1)
        clean = -(-given // backbone.temporal_compression) if form.places == "in place" else 0
        assert mask.flatten().tolist() == [0.0] * clean + [1.0] * (latents.shape[2] - clean)
        if clean:
            assert torch.allclose(noisy[:, :, :clean], backbone.encode_video(rgb), atol=1e-5)
        assert not torch.isclose(noisy[:, :, clean:], latents[:, :, clean:]).all()
        if form.places == "beside":
            assert condition.frames.shape[2:] == latents.shape[2:]


def test_first_frames_that_are_not_taken_are_refused(form: Form, backbone: Backbone) -> None:
    for given in set(range(4)) - set(form.given):
        rgb = video()[:, :given] if given else None
        with pytest.raises(InvalidClipError, match=r"given|first frame"):
            backbone.encode_condition(PROMPTS[:1], rgb, frames=FRAMES)


def test_given_frames_change_the_rest(form: Form, backbone: Backbone, latents: torch.Tensor) -> None:
    if form.places is None:
        pytest.skip("takes no first frame")
    outputs = []
    for seed in (0, 9):
        rgb = video(seed=seed)[:, :1]
        condition = backbone.encode_condition(PROMPTS[:1], rgb, frames=FRAMES)
        noisy = backbone.add_noise(latents, noise_like(latents), torch.ones(1), condition)
        outputs.append(backbone.predict(noisy, torch.ones(1), condition).output[:, :, 1:])
    assert not torch.allclose(*outputs, atol=1e-3)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_samples_are_the_stock_pipelines(
    form: Form, folder: Path, backbone: Backbone, condition: Condition, guidance: float
) -> None:
    if not form.stock:
        pytest.skip("diffusers has no pipeline of this family")
    ours = sample(backbone, condition, **SIZE, steps=3, guidance=guidance, seeds=[3], negative=PROMPTS[1])
    options = {
        "prompt": PROMPTS[0],
        "negative_prompt": PROMPTS[1],
        "guidance_scale": guidance,
        "num_inference_steps": 3,
    }
    pipeline, noise = stock_pipeline(folder), initial_noise(backbone, [3], **SIZE)
    theirs = stock_sample(form, pipeline, noise, **options)
    assert torch.allclose(ours, theirs, atol=1e-4)
    decoded = stock_sample(form, pipeline, noise, **options, output_type="pt").movedim(2, -1)
    assert ((backbone.decode_video(ours) / 255 - decoded).abs() <= 0.51 / 255).all()
    other = sample(backbone, condition, **SIZE, steps=3, guidance=2.5, seeds=[3], negative=PROMPTS[1])
    assert not torch.allclose(ours, other, atol=1e-3)


def test_a_batch_is_its_clips(form: Form, backbone: Backbone) -> None:
    latents = torch.cat([backbone.encode_video(video(seed=seed)) for seed in (0, 1)])
    rgb = None if first_frames(form) is None else video(2, seed=5)[:, : form.given[0]]
    conditions = [
        backbone.encode_condition([prompt], None if rgb is None else rgb[row : row + 1], frames=FRAMES)
        for row, prompt in enumerate(PROMPTS)
    ]
    both = Condition.stack(conditions)
    for name, value in backbone.encode_condition(PROMPTS, rgb, frames=FRAMES).tensors().items():
        assert torch.allclose(value, getattr(both, name), atol=1e-5)
    levels, noise = torch.tensor([0.3, 0.9]), noise_like(latents)
    noisy = backbone.add_noise(latents, noise, levels, both)
    read = backbone.predict(noisy, levels, both, features=True)
    samples = sample(backbone, both, **SIZE, steps=2, guidance=3.0, seeds=[3, 4])
    for row, condition in enumerate(conditions):
        one = slice(row, row + 1)
        alone = backbone.add_noise(latents[one], noise[one], levels[one], condition)
        assert torch.allclose(noisy[one], alone, atol=1e-6)
        reading = backbone.predict(alone, levels[one], condition, features=True)
        assert torch.allclose(read.output[one], reading.output, atol=1e-5)
        assert torch.allclose(read.features[one], reading.features, atol=1e-5)
        assert torch.allclose(read.shift[one], reading.shift, atol=1e-5)
        sampled = sample(backbone, condition, **SIZE, steps=2, guidance=3.0, seeds=[3 + row])
        assert torch.allclose(samples[one], sampled, atol=1e-4)


def test_prompts_are_told_apart_and_strange_words_are_read(
    form: Form, backbone: Backbone, latents: torch.Tensor
) -> None:
    prompts = [*PROMPTS, "", "Quizzical zebra, naïve"]
    rgb = first_frames(form)
    rgb = None if rgb is None else rgb.expand(4, -1, -1, -1, -1)
    condition = backbone.encode_condition(prompts, rgb, frames=FRAMES)
    assert condition.text.shape[:2] == (4, form.prompt_tokens)
    outputs = backbone.predict(latents.expand(4, -1, -1, -1, -1), torch.full((4,), 0.5), condition).output
    assert torch.isfinite(outputs).all()
    for values, apart in ((condition.text, 0.1), (outputs, 0.01)):
        distances = torch.cdist(values.flatten(1), values.flatten(1))
        assert (distances + torch.eye(4) > apart).all()


@pytest.mark.parametrize("negative", ["", "A blue box falls."])
def test_unconditional_is_the_same_with_another_prompt(
    form: Form, backbone: Backbone, condition: Condition, negative: str
) -> None:
    away = backbone.unconditional(Condition.stack([condition] * 2), negative)
    rgb = first_frames(form)
    rgb = None if rgb is None else rgb.expand(2, -1, -1, -1, -1)
    expected = backbone.encode_condition([negative] * 2, rgb, frames=FRAMES).tensors()
    if backbone.family == "OpenSora" and not negative:  # embeddings of its own, as many of them as the prompt has
        no_prompt = backbone.transformer.y_embedder.y_embedding
        expected |= {"text": no_prompt.expand_as(away.text), "text_mask": condition.text_mask.expand(2, -1)}
    assert away.tensors().keys() == expected.keys() == condition.tensors().keys()
    for name, value in away.tensors().items():
        assert torch.allclose(value, expected[name], atol=1e-5)
    assert not torch.allclose(away.text, condition.text)


def test_a_condition_goes_to_a_device_whole(condition: Condition) -> None:
    moved = condition.to("meta")
    assert moved.tensors().keys() == condition.tensors().keys()
    assert {value.device.type for value in moved.tensors().values()} == {"meta"}
