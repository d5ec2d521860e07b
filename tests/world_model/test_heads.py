"""Heads: layout of tokens and pixels, coding of depth and motion, saving and loading."""

from pathlib import Path

import pytest
import torch

from phys4d_kedro.world_model.backbones.base import LAYERS, Prediction
from phys4d_kedro.world_model.heads import (
    ConvHead,
    Head,
    LinearHead,
    decode_depth,
    decode_motion,
    encode_depth,
    encode_motion,
    load_head,
    pixels_to_tokens,
    statistics,
    tokens_to_pixels,
)

R, P, C = 4, 8, 3


def test_layout_round_trip() -> None:
    video = torch.randn(2, 1 + R * 4, 3 * P, 5 * P, C, generator=torch.Generator().manual_seed(0))
    tokens = pixels_to_tokens(video, R, P)
    assert tokens.shape == (2, 5, 3, 5, R * P * P * C)
    assert torch.equal(tokens_to_pixels(tokens, R, P), video)


@pytest.mark.parametrize(("frame", "latent"), [(0, 0), (1, 1), (4, 1), (5, 2), (16, 4)])
def test_a_pixel_lies_in_its_own_token(frame: int, latent: int) -> None:
    video = torch.zeros(1, 17, 3 * P, 5 * P, 1)
    video[0, frame, 2 * P + 3, 4 * P + 7] = 1
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


COMMON = {"feature_dim": 12, "channels": C, "temporal": R, "pixels": 2, "backbone": "abc"}
STATISTICS = {"mean": [1.0, 2.0, 3.0], "std": [1.0, 0.5, 2.0]}
KINDS = ["linear", "conv"]


def head(kind: str, **changes: object) -> Head:
    """A small head with random weights."""
    torch.manual_seed(0)
    if kind == "linear":
        return LinearHead(**{**COMMON, **STATISTICS, **changes})
    return ConvHead(**{**COMMON, **STATISTICS, "hidden": 16, "width": 8, "blocks": 1, **changes})


def reading_of(features: torch.Tensor, time: float = 0.0) -> Prediction:
    """A reading whose layers all look alike."""
    return Prediction(features, (features,) * LAYERS, torch.full_like(features, time))


def random_features(seed: int = 0, clips: int = 1) -> torch.Tensor:
    return torch.randn(clips, 3, 2, 2, 12, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_untrained_head_predicts_about_the_mean(kind: str) -> None:
    values = head(kind)
    out = values.destandardise(values(reading_of(random_features())))
    assert out.shape == (1, 9, 4, 4, C)
    assert torch.allclose(out, torch.tensor([1.0, 2.0, 3.0]).expand_as(out), atol=0.2)
    assert torch.allclose(values.standardise(out), values(reading_of(random_features())), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_time_embedding_modulates(kind: str) -> None:
    values = head(kind)
    features = random_features()
    assert not torch.equal(values(reading_of(features)), values(reading_of(features, time=1.0)))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_head_predicts_the_same(kind: str, tmp_path: Path) -> None:
    saved = head(kind)
    saved.save_pretrained(tmp_path)
    loaded = load_head(tmp_path)
    assert type(loaded) is type(saved)
    assert torch.equal(saved(reading_of(random_features())), loaded(reading_of(random_features())))
    assert loaded.config.mean == [1.0, 2.0, 3.0]
    assert loaded.config.backbone == "abc"


@pytest.mark.parametrize(
    ("kind", "blocks", "frames", "rows"),
    [("linear", 0, [3], [3]), ("conv", 0, [3, 4], [3]), ("conv", 1, [2, 3, 4, 5], [2, 3, 4])],
)
def test_what_a_token_reaches(kind: str, blocks: int, frames: list[int], rows: list[int]) -> None:
    """A change of one token is seen at its own place alone, one latent frame later, or at neighbours."""
    values = head(kind, **({} if kind == "linear" else {"blocks": blocks}))
    features = torch.randn(1, 7, 7, 7, 12, generator=torch.Generator().manual_seed(1))
    changed = features.clone()
    changed[0, 3, 3, 3] += 1 + torch.arange(12)
    with torch.no_grad():
        difference = (values(reading_of(changed)) - values(reading_of(features))).abs()
    seen = pixels_to_tokens(difference, R, 2)[0].sum(-1).nonzero()
    assert sorted(set(seen[:, 0].tolist())) == frames
    assert sorted(set(seen[:, 1].tolist())) == sorted(set(seen[:, 2].tolist())) == rows


def test_conv_head_learns_a_change_between_frames_which_a_linear_head_cannot() -> None:
    """Target: whether the first feature grew since the latent frame before."""
    losses = {}
    for kind in KINDS:
        values = head(kind)
        optimizer = torch.optim.Adam(values.parameters(), lr=0.01)
        for step in range(201):
            features = random_features(step, clips=8)
            before = torch.cat([features[:, :1], features[:, :-1]], 1)
            target = (features[..., 0] > before[..., 0]).float() - 0.5
            video = tokens_to_pixels(target[..., None].expand(*target.shape, R * 4 * C), R, 2)
            loss = (values(reading_of(features)) - video)[:, 1:].square().mean()
            losses[kind] = float(loss.detach())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    assert losses["conv"] < 0.6 * losses["linear"]


def test_statistics_of_a_known_sample() -> None:
    values = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    assert statistics(2, values.sum(0), values.square().sum(0)) == ([2.0, 5.0], [1.0, 1.0])
