"""Heads: layout of tokens and pixels, coding of depth and motion, and what all kinds must do."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.training.config import ConvHeadConfig, DptHeadConfig, LoopConfig, PretrainConfig
from phys4d_kedro.world_model.backbones.base import LAYERS, Prediction
from phys4d_kedro.world_model.heads import (
    HEADS,
    decode_depth,
    decode_motion,
    encode_depth,
    encode_motion,
    load_head,
    pixels_to_tokens,
    statistics,
    tokens_to_pixels,
)
from tests.world_model.readings import KINDS, SIZES, C, D, P, R, random_features, reading_of, small_head


def test_layout_round_trip() -> None:
    video = torch.randn(2, 1 + R * 4, 3 * P, 5 * P, C, generator=torch.Generator().manual_seed(0))
    tokens = pixels_to_tokens(video, R, P)
    assert tokens.shape == (2, 5, 3, 5, R * P * P * C)
    assert torch.equal(tokens_to_pixels(tokens, R, P), video)


@pytest.mark.parametrize(("frames", "latents"), [(9, 3), (17, 5), (34, 10), (51, 15)])
def test_layout_of_chunks_round_trip(frames: int, latents: int) -> None:
    """Chunks of five latent frames are laid out each for itself; part of one is as if there were none."""
    video = torch.randn(2, frames, 3 * P, 5 * P, C, generator=torch.Generator().manual_seed(0))
    tokens = pixels_to_tokens(video, R, P, 5)
    assert tokens.shape == (2, latents, 3, 5, R * P * P * C)
    assert torch.equal(tokens_to_pixels(tokens, R, P, 5), video)
    last = pixels_to_tokens(video[:, -min(frames, 17) :], R, P)
    assert torch.equal(tokens[:, -last.shape[1] :], last)


@pytest.mark.parametrize(("frame", "latent"), [(0, 0), (1, 1), (4, 1), (5, 2), (16, 4)])
def test_a_pixel_lies_in_its_own_token(frame: int, latent: int) -> None:
    video = torch.zeros(1, 17, 3 * P, 5 * P, 1)
    video[0, frame, 2 * P + 1, 4 * P + 3] = 1
    tokens = pixels_to_tokens(video, R, P)
    hit = tokens[0].sum(-1).nonzero().tolist()
    assert hit == [[latent, 2, 4]]


def test_depth_and_motion_coding_round_trip() -> None:
    generator = torch.Generator().manual_seed(1)
    depth = 1 + 4 * torch.rand(2, 5, 6, 8, generator=generator)
    motion = torch.randn(2, 4, 6, 8, 3, generator=generator) * torch.tensor([3.0, 2.0, 0.2])
    assert torch.allclose(decode_depth(encode_depth(depth)), depth)
    assert torch.allclose(decode_motion(encode_motion(motion, depth), depth), motion, atol=1e-5)


def test_coded_motion_does_not_change_with_image_size_or_metric_scale() -> None:
    depth = torch.full((2, 4, 4), 2.0)
    motion = torch.ones(1, 4, 4, 3)
    larger = torch.ones(1, 8, 8, 3) * torch.tensor([2.0, 2.0, 3.0])
    coded = encode_motion(motion, depth)
    assert torch.allclose(coded[0, 0, 0], encode_motion(larger, torch.full((2, 8, 8), 6.0))[0, 0, 0])


def test_impossible_depth_change_stays_finite() -> None:
    coded = encode_motion(torch.tensor([0.0, 0.0, -5.0]).expand(1, 2, 2, 3), torch.ones(2, 2, 2))
    assert torch.isfinite(coded).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [(3, 2, 2), (1, 7, 5), (2, 5, 6)])
def test_untrained_head_predicts_about_the_mean_of_every_pixel(kind: str, grid: tuple[int, int, int]) -> None:
    values = small_head(kind)
    reading = reading_of(random_features(grid=grid))
    t, h, w = grid
    out = values.destandardise(values(reading))
    assert out.shape == (1, 1 + R * (t - 1), P * h, P * w, C)
    assert torch.allclose(out, torch.tensor([1.0, 2.0, 3.0]).expand_as(out), atol=0.2)
    assert torch.allclose(values.standardise(out), values(reading), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_level_modulates(kind: str) -> None:
    values = small_head(kind)
    features = random_features()
    assert not torch.equal(values(reading_of(features)), values(reading_of(features, shift=1.0)))


def test_linear_head_modulates_as_the_transformer_does() -> None:
    """Its own table starts at zero: before the projection there is nothing but what the reading says."""
    values = small_head("linear")
    features = random_features()
    normed = torch.nn.functional.layer_norm(features, (D,), eps=1e-6)
    expected = tokens_to_pixels(values.proj(normed * 3 + 0.5), R, P)
    assert torch.allclose(values(reading_of(features, shift=0.5, scale=2.0)), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_reading_without_features_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="features=True"):
        small_head(kind)(Prediction(random_features()))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_head_predicts_the_same(kind: str, tmp_path: Path) -> None:
    saved = small_head(kind)
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    saved.save_pretrained(tmp_path)
    loaded = load_head(tmp_path)
    assert type(loaded) is type(saved)
    assert torch.equal(saved(reading_of(random_features())), loaded(reading_of(random_features())))
    assert loaded.config.mean == [1.0, 2.0, 3.0]
    assert loaded.config.backbone == "abc"


def test_missing_or_partial_head_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="pipeline=pretrain"):
        load_head(tmp_path)
    small_head("dpt").save_pretrained(tmp_path)
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_head(tmp_path)


@pytest.mark.parametrize(
    ("kind", "changes", "frames", "rows"),
    [
        ("linear", {}, [3], [3]),
        ("conv", {"blocks": 0}, [3, 4], [3]),
        ("conv", {"blocks": 1}, [2, 3, 4, 5], [2, 3, 4]),
        ("dpt", {}, [3], [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_what_a_token_reaches(kind: str, changes: dict[str, int], frames: list[int], rows: list[int]) -> None:
    """A change of one token is seen at its own place alone, one latent frame later, or at neighbours."""
    values = small_head(kind, **changes)
    features = random_features(1, grid=(7, 7, 7))
    changed = features.clone()
    changed[0, 3, 3, 3] += 1 + torch.arange(D)
    with torch.no_grad():
        difference = (values(reading_of(changed)) - values(reading_of(features))).abs()
    seen = pixels_to_tokens(difference, R, P)[0].sum(-1).nonzero()
    assert sorted(set(seen[:, 0].tolist())) == frames
    assert sorted(set(seen[:, 1].tolist())) == sorted(set(seen[:, 2].tolist())) == rows


@pytest.mark.parametrize("kind", ["conv", "dpt"])
def test_every_depth_of_the_transformer_counts(kind: str) -> None:
    values = small_head(kind)
    reading = reading_of(random_features())
    for depth in range(LAYERS):
        layers = [random_features(1) if i == depth else layer for i, layer in enumerate(reading.layers)]
        assert not torch.equal(values(replace(reading, layers=tuple(layers))), values(reading))


def test_a_linear_head_cannot_learn_a_change_between_frames_which_others_do() -> None:
    """Target: whether the first feature grew since the latent frame before."""
    losses = {}
    for kind in KINDS:
        values = small_head(kind)
        optimizer = torch.optim.Adam(values.parameters(), lr=0.01)
        for step in range(201):
            features = random_features(step, clips=8)
            before = torch.cat([features[:, :1], features[:, :-1]], 1)
            target = (features[..., 0] > before[..., 0]).float() - 0.5
            video = tokens_to_pixels(target[..., None].expand(*target.shape, R * P * P * C), R, P)
            loss = (values(reading_of(features)) - video)[:, 1:].square().mean()
            losses[kind] = float(loss.detach())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    assert max(losses["conv"], losses["dpt"]) < 0.6 * losses["linear"]


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_comes_close(kind: str) -> None:
    values = small_head(kind)
    reading = reading_of(random_features(grid=(3, 5, 6)))
    exact = values(reading)
    with torch.autocast("cpu", torch.bfloat16):
        half = values(reading)
    assert half.dtype is torch.bfloat16
    assert torch.allclose(half.float(), exact, atol=0.02 * float(exact.detach().abs().max()))
    half.float().square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in values.parameters())


def test_configured_sizes_are_what_each_kind_takes() -> None:
    loop = LoopConfig(steps=1, batch_size=1, learning_rate=1, seed=0)
    config = PretrainConfig(
        repeats=1,
        head="linear",
        conv_head=ConvHeadConfig(**SIZES["conv"]),
        dpt_head=DptHeadConfig(**SIZES["dpt"]),
        noise_shift=1,
        depth_weight=1,
        motion_weight=1,
        label_memory_gb=0,
        loop=loop,
        checkpoint_dir="unused",
    )
    assert set(KINDS) == set(HEADS)
    for kind in KINDS:
        assert config.model_copy(update={"head": kind}).head_sizes == SIZES[kind]


def test_statistics_of_a_known_sample() -> None:
    values = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    assert statistics(2, values.sum(0), values.square().sum(0)) == ([2.0, 5.0], [1.0, 1.0])
