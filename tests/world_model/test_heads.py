"""Heads: layout of tokens and pixels, coding of depth and motion, saving and loading."""

from pathlib import Path

import pytest
import torch

from phys4d_kedro.world_model.heads import (
    LinearHead,
    decode_depth,
    decode_motion,
    encode_depth,
    encode_motion,
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


def head(**changes: object) -> LinearHead:
    sizes = {"feature_dim": 12, "channels": C, "temporal": R, "pixels": 2, "backbone": "abc"}
    return LinearHead(**{**sizes, "mean": [1.0, 2.0, 3.0], "std": [1.0, 0.5, 2.0], **changes})


def test_untrained_head_predicts_about_the_mean() -> None:
    features = torch.randn(1, 3, 2, 2, 12, generator=torch.Generator().manual_seed(0))
    values = head()
    out = values.destandardise(values(features, torch.zeros_like(features)))
    assert out.shape == (1, 9, 4, 4, C)
    assert torch.allclose(out, torch.tensor([1.0, 2.0, 3.0]).expand_as(out), atol=0.2)
    assert torch.allclose(values.standardise(out), values(features, torch.zeros_like(features)), atol=1e-6)


def test_time_embedding_modulates() -> None:
    features = torch.randn(1, 3, 2, 2, 12, generator=torch.Generator().manual_seed(0))
    values = head()
    assert not torch.equal(values(features, torch.zeros_like(features)), values(features, torch.ones_like(features)))


def test_saved_head_predicts_the_same(tmp_path: Path) -> None:
    saved = head()
    saved.save_pretrained(tmp_path)
    loaded = LinearHead.from_pretrained(tmp_path)
    features = torch.randn(1, 3, 2, 2, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(saved(features, features), loaded(features, features))
    assert loaded.config.mean == [1.0, 2.0, 3.0]
    assert loaded.config.backbone == "abc"


def test_statistics_of_a_known_sample() -> None:
    values = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    assert statistics(2, values.sum(0), values.square().sum(0)) == ([2.0, 5.0], [1.0, 1.0])
