"""The nano depth model: its loss against hand-made cases, its folder as any depth model's, and that it learns."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_clip
from transformers import AutoImageProcessor, AutoModelForDepthEstimation, DepthAnythingForDepthEstimation

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, MissingAnnotationError
from phys4d_kedro.perception.config import AugmentationConfig, DepthConfig, NanoDepthConfig, NanoDepthLossConfig
from phys4d_kedro.perception.depth import load_depth_estimator
from phys4d_kedro.perception.nano_depth_anything import (
    NanoDepthTask,
    build_model,
    depth_loss,
    normalise,
    read_frames,
    save_model,
)

TINY = NanoDepthConfig(
    image_size=32,
    patch_size=8,
    hidden_size=24,
    layers=4,
    heads=2,
    neck_sizes=(8, 8, 16, 16),
    fusion_size=16,
    head_size=8,
    max_depth=20,
)
LOSS = NanoDepthLossConfig(
    object_weight=3.0,
    scale_invariant_weight=0.5,
    gradient_weight=2.0,
    augmentation=AugmentationConfig(jitter=0.1, grey_share=0.1, blur_share=0.1, noise=0.01),
)


def loss_of(predicted: torch.Tensor, depth: torch.Tensor, objects: torch.Tensor | None = None) -> tuple[float, dict]:
    objects = torch.zeros(depth.shape, dtype=torch.bool) if objects is None else objects
    loss, figures = depth_loss(predicted, depth, objects, 20.0, LOSS)
    return float(loss), figures


def test_right_depth_costs_nothing_also_beyond_the_farthest_that_can_be_told() -> None:
    depth = torch.rand(2, 8, 8) * 9 + 1
    depth[:, :2] = torch.inf
    assert loss_of(depth.clamp(max=20), depth)[0] == 0


def test_wrong_scale_costs_its_logarithm_and_nothing_else() -> None:
    depth = torch.rand(2, 8, 8) * 9 + 1
    loss, figures = loss_of(1.5 * depth, depth)
    assert loss == pytest.approx(math.log(1.5), rel=1e-4)
    assert figures["scale_invariant"] == pytest.approx(0, abs=1e-6)
    assert figures["gradient"] == pytest.approx(0, abs=1e-6)


def test_terms_of_a_step_in_the_error_by_hand() -> None:
    """Error 0 on the left half and 1 on the right, 8 columns: a step d apart crosses it in d of 8 - d pairs."""
    depth = torch.ones(1, 8, 8)
    predicted = depth.clone()
    predicted[..., 4:] = math.e
    objects = torch.zeros(1, 8, 8, dtype=torch.bool)
    objects[..., 4:] = True  # these count three times: mean 3/4, variance 3/16
    loss, figures = loss_of(predicted, depth, objects)
    gradient = (1 / 7 + 2 / 6 + 4 / 4) / 3 / 2
    assert figures == pytest.approx({"log_l1": 0.75, "scale_invariant": 0.1875, "gradient": gradient}, rel=1e-5)
    assert loss == pytest.approx(0.75 + 0.5 * 0.1875 + 2 * gradient, rel=1e-5)


def test_folder_is_a_plain_depth_anything_that_gives_metres(tmp_path: Path) -> None:
    model = build_model(TINY, seed=0).eval()
    save_model(model, tmp_path)
    loaded = AutoModelForDepthEstimation.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert type(loaded) is DepthAnythingForDepthEstimation
    rgb = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    pixels = normalise(torch.from_numpy(rgb).permute(0, 3, 1, 2) / 255)
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    torch.testing.assert_close(processor(images=list(rgb), return_tensors="pt")["pixel_values"], pixels)
    estimator = load_depth_estimator(DepthConfig(model=str(tmp_path)))
    assert estimator.kind == "metric"
    with torch.inference_mode():
        expected = model(pixel_values=pixels).predicted_depth.numpy()
    assert np.allclose(estimator.predict(rgb), expected, rtol=0.02), "float16 weights"
    assert expected.std() > 0.01, "a new model already depends on the image"
    assert expected.min() > 0
    assert expected.max() < 20


def test_seed_decides_the_weights() -> None:
    first, again, other = (build_model(TINY, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="patch_size 7 must divide image_size 32"):
        build_model(TINY.model_copy(update={"patch_size": 7}), seed=0)


def test_it_learns_the_depth_of_a_few_frames(tmp_path: Path) -> None:
    write_shards([make_clip(i) for i in range(3)], str(tmp_path / "clips"), clips_per_shard=3)
    frames = read_frames(ClipStore(str(tmp_path / "clips")))
    assert len(frames) == 15
    assert frames.objects.any()
    task = NanoDepthTask(build_model(TINY, seed=0), frames, LOSS)
    optimizer = torch.optim.AdamW(task.modules["depth"].parameters(), lr=2e-3)
    losses = []
    for step in range(60):
        loss, figures = task.loss(list(range(15)), torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(figures["log_l1"])
    assert np.mean(losses[-5:]) < 0.4 * losses[0]


def test_frames_without_exact_depth_are_refused(tmp_path: Path) -> None:
    bare = make_clip(0).with_(depth=None)
    write_shards([bare], str(tmp_path / "clips"), clips_per_shard=1)
    with pytest.raises(MissingAnnotationError, match="depth"):
        read_frames(ClipStore(str(tmp_path / "clips")))


def test_model_in_the_repository_is_small_and_sees_ground_below_a_sky() -> None:
    folder = Path(__file__).parents[2] / "weights" / "nano_depth_anything"
    assert (folder / "model.safetensors").stat().st_size < 3e6
    frame = np.full((64, 64, 3), (110, 105, 100), np.uint8)
    frame[:16] = (200, 215, 235)
    depth = load_depth_estimator(DepthConfig(model=str(folder))).predict(frame[None])[0]
    rows = np.median(depth, 1)
    assert rows[:12].min() > 30, "sky"
    assert rows[20] > 2 * rows[60], "ground comes nearer downwards"
