"""Depth models of transformers, at tiny sizes with random weights, through the one protocol; and what can be wrong."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BeitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    Dinov2Model,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessorPil,
    GLPNConfig,
    GLPNForDepthEstimation,
    GLPNImageProcessorPil,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
    ZoeDepthImageProcessorPil,
)

from phys4d_kedro.errors import CheckpointError, ConfigurationError
from phys4d_kedro.perception.config import DepthConfig
from phys4d_kedro.perception.depth import find_depth_model, hash_model, inverse_to_depth, load_depth_estimator

STAGES = ["stage1", "stage2", "stage3", "stage4"]
NECK = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16}
VIT = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}


def dinov2() -> Dinov2Config:
    return Dinov2Config(
        **VIT, mlp_ratio=2, image_size=56, patch_size=14, out_features=STAGES, reshape_hidden_states=False
    )


def depth_anything() -> tuple[Any, Any]:
    config = DepthAnythingConfig(backbone_config=dinov2(), reassemble_hidden_size=32, head_hidden_size=8, **NECK)
    processor = DPTImageProcessorPil(size={"height": 56, "width": 56}, ensure_multiple_of=14, keep_aspect_ratio=True)
    return DepthAnythingForDepthEstimation(config), processor


def dpt() -> tuple[Any, Any]:
    config = DPTConfig(
        **VIT, **NECK, intermediate_size=64, image_size=64, patch_size=16, backbone_out_indices=[0, 1, 2, 3]
    )
    return DPTForDepthEstimation(config), DPTImageProcessorPil(size={"height": 64, "width": 64})


def glpn() -> tuple[Any, Any]:
    config = GLPNConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
    )
    return GLPNForDepthEstimation(config), GLPNImageProcessorPil()


def zoedepth() -> tuple[Any, Any]:
    backbone = BeitConfig(
        **VIT,
        image_size=64,
        intermediate_size=64,
        out_features=STAGES,
        reshape_hidden_states=False,
        use_relative_position_bias=True,
    )
    config = ZoeDepthConfig(
        **NECK,
        backbone_config=backbone,
        bottleneck_features=16,
        num_relative_features=8,
        bin_embedding_dim=8,
        num_attractors=[4, 2, 2, 1],
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
    )
    return ZoeDepthForDepthEstimation(config), ZoeDepthImageProcessorPil(
        size={"height": 64, "width": 64}, ensure_multiple_of=32
    )


def save(folder: Path, build: Callable[[], tuple[Any, Any]]) -> Path:
    """A model folder whose output depends on the image: layers start as PyTorch's do, above the output's ReLU."""
    torch.manual_seed(0)
    model, processor = build()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.reset_parameters()
            if isinstance(module, torch.nn.Conv2d) and module.out_channels == 1 and module.bias is not None:
                torch.nn.init.ones_(module.bias)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 96, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("build", "kind"),
    [(depth_anything, "relative_inverse"), (dpt, "relative_inverse"), (glpn, "metric"), (zoedepth, "metric")],
)
def test_models_load_from_a_folder_and_predict_at_the_size_of_the_frames(
    tmp_path: Path, rgb: np.ndarray, build: Callable[[], tuple[Any, Any]], kind: str
) -> None:
    estimator = load_depth_estimator(DepthConfig(model=str(save(tmp_path, build)), batch_size=2))
    predicted = estimator.predict(rgb)
    assert estimator.kind == kind
    assert predicted.shape == (5, 64, 96)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    assert predicted.std() > 0, "the output depends on the image"
    assert np.allclose(estimator.predict(rgb[3:4])[0], predicted[3], atol=1e-5), "frames are independent"


@pytest.mark.parametrize("build", [depth_anything, glpn])
def test_prediction_is_that_of_the_processors_own_post_processing(
    tmp_path: Path, rgb: np.ndarray, build: Callable[[], tuple[Any, Any]]
) -> None:
    predicted = load_depth_estimator(DepthConfig(model=str(save(tmp_path, build)))).predict(rgb)
    model = build()[0].from_pretrained(tmp_path).eval()
    processor = build()[1].from_pretrained(tmp_path)
    with torch.inference_mode():
        outputs = model(**processor(images=list(rgb), return_tensors="pt"))
    expected = processor.post_process_depth_estimation(outputs, target_sizes=[(64, 96)] * len(rgb))
    assert np.allclose(predicted, torch.stack([e["predicted_depth"] for e in expected]), atol=1e-5)


def test_margin_of_zoedepth_is_cut_off_where_the_frame_was() -> None:
    """Reference: a ramp carried through the padding, a resize and back is the ramp again."""
    from phys4d_kedro.perception.depth import TransformersDepth

    processor = zoedepth()[1]
    ramp = np.tile(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], (64, 1, 3))

    class Identity(torch.nn.Module):
        """Takes the mean channel of the prepared image for depth."""

        config = type("Config", (), {"model_type": "zoedepth"})

        def forward(self, pixel_values: torch.Tensor) -> Any:
            return type("Output", (), {"predicted_depth": (pixel_values.mean(1) + 1) / 2})

    estimator = TransformersDepth(Identity(), processor, kind="metric", batch_size=1, device=torch.device("cpu"))
    predicted = estimator.predict(ramp[None])[0]
    assert np.abs(predicted - ramp[..., 0] / 255.0)[:, 4:-4].max() < 0.02


def test_metric_depth_anything_says_so_and_the_parameter_overrides(tmp_path: Path) -> None:
    def metric() -> tuple[Any, Any]:
        model, processor = depth_anything()
        config = model.config
        config.depth_estimation_type, config.max_depth = "metric", 20
        return DepthAnythingForDepthEstimation(config), processor

    folder = str(save(tmp_path, metric))
    assert load_depth_estimator(DepthConfig(model=folder)).kind == "metric"
    assert load_depth_estimator(DepthConfig(model=folder, output="relative_inverse")).kind == "relative_inverse"


def test_hash_follows_the_weights(tmp_path: Path) -> None:
    first = save(tmp_path / "first", depth_anything)
    second = Path(shutil.copytree(first, tmp_path / "second"))
    assert hash_model(first) == hash_model(second)
    weights = bytearray((second / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (second / "model.safetensors").write_bytes(weights)
    assert hash_model(first) != hash_model(second)


@pytest.mark.parametrize("name", ["weights/of_nobody", "/nowhere/at/all", "someone/some-depth-model"])
def test_what_is_neither_a_folder_nor_on_the_hub_fails_at_once_and_clearly(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_depth_estimator(DepthConfig(model=name))
    assert "HF_HUB_OFFLINE" in str(caught.value)
    assert time.monotonic() - start < 30


def test_folder_of_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    Dinov2Model(dinov2()).save_pretrained(tmp_path)
    DPTImageProcessorPil().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="dinov2"):
        load_depth_estimator(DepthConfig(model=str(tmp_path)))
    with pytest.raises(CheckpointError, match="Dinov2Config"):
        load_depth_estimator(DepthConfig(model=str(tmp_path), output="metric"))


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, depth_anything)
    glpn()[0].save_pretrained(tmp_path / "glpn")
    shutil.copy(tmp_path / "glpn" / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"not of the model that its config\.json describes"):
        load_depth_estimator(DepthConfig(model=str(folder)))


@pytest.mark.parametrize("missing", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_missing_file_of_a_folder_is_named(tmp_path: Path, missing: str) -> None:
    folder = save(tmp_path, depth_anything)
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=missing.replace("model", r"\*")):
        find_depth_model(DepthConfig(model=str(folder)))


def test_truncated_weights_are_an_error_of_the_folder(tmp_path: Path) -> None:
    folder = save(tmp_path, depth_anything)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match=str(folder)):
        load_depth_estimator(DepthConfig(model=str(folder)))


def test_relative_inverse_depth_becomes_metres_by_the_stated_convention() -> None:
    true = np.random.default_rng(0).uniform(2, 40, (5, 16, 16))
    relative = (7 / true + 3).astype(np.float32)
    depth, coefficients = inverse_to_depth(relative, DepthConfig(model="any", median_depth=4.0, depth_ratio=12.0))
    assert np.isclose(np.median(depth), 4.0, rtol=1e-3)
    assert np.isclose(depth.max() / np.percentile(depth, 0.1), 12.0, rtol=0.02)
    order = np.argsort(true, axis=None)
    assert (np.diff(depth.ravel()[order]) >= -1e-4).all(), "order is kept"
    far = depth.max()
    assert np.allclose(
        1 / depth, np.maximum(coefficients["gain"] * relative + coefficients["offset"], 1 / far), rtol=1e-4
    )


def test_right_convention_gives_true_depth() -> None:
    true = np.random.default_rng(0).uniform(2, 40, (5, 16, 16))
    ratio = np.percentile(true, 99.9) / np.percentile(true, 0.1)
    config = DepthConfig(model="any", median_depth=float(np.median(true)), depth_ratio=float(ratio))
    depth, _ = inverse_to_depth((7 / true + 3).astype(np.float32), config)
    assert np.median(np.abs(depth / true - 1)) < 0.02


def test_featureless_relative_prediction_becomes_the_median_depth() -> None:
    depth, _ = inverse_to_depth(np.full((5, 8, 8), 3.0, np.float32), DepthConfig(model="any", median_depth=4.0))
    assert np.allclose(depth, 4.0)
