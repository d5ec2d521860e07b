"""The Frechet distance: exact on normal distributions, zero on equal sets, larger the more a video is spoilt."""

from collections.abc import Callable

import cv2
import factories
import numpy as np
import pytest
import scipy.linalg

from phys4d_kedro.evaluation.video_features import (
    FEATURES,
    frechet_distance,
    gaussian_distance,
    shrunk_covariance,
    video_features,
)

# Features of a black and of a sawtooth video, the first three.
KNOWN = ((-2.8421, 5.8504, 4.1794), (1.6394, 1.6291, -2.3712))


class TestDistance:
    """Of normal distributions and samples of them."""

    def test_of_independent_normals_in_closed_form(self) -> None:
        first, second = np.array([4.0, 9.0, 0.0]), np.array([1.0, 16.0, 4.0])
        distance = gaussian_distance(np.zeros(3), np.diag(first), np.array([1.0, 2.0, 2.0]), np.diag(second))
        assert distance == pytest.approx(9 + 1 + 1 + 4)

    def test_of_correlated_normals_by_the_matrix_root(self) -> None:
        rng = np.random.default_rng(0)
        first, second = (m @ m.T for m in rng.normal(size=(2, 6, 6)))
        root = scipy.linalg.sqrtm(first @ second).real
        expected = np.trace(first + second - 2 * root) + 6
        assert gaussian_distance(np.zeros(6), first, np.ones(6), second) == pytest.approx(expected)
        assert gaussian_distance(np.ones(6), second, np.zeros(6), first) == pytest.approx(expected)

    def test_is_zero_for_equal_sets_however_small(self) -> None:
        features = np.random.default_rng(0).normal(size=(5, 40))
        assert frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-9)

    def test_of_samples_tends_to_that_of_their_distributions(self) -> None:
        rng = np.random.default_rng(0)
        first = rng.normal(size=(20_000, 3)) * [2.0, 3.0, 1.0]
        second = rng.normal(size=(20_000, 3)) * [1.0, 4.0, 2.0] + [0.0, 1.0, 2.0]
        assert frechet_distance(first, second) == pytest.approx(5 + 3, rel=0.03)

    def test_needs_two_videos(self) -> None:
        with pytest.raises(ValueError, match="two videos or more in each set, not 1 and 3"):
            frechet_distance(np.zeros((1, 4)), np.zeros((3, 4)))


class TestShrinkage:
    """OAS."""

    def test_is_nearer_to_the_truth_than_the_sample_covariance_of_few(self) -> None:
        rng = np.random.default_rng(0)
        truth = np.diag(np.linspace(1, 3, 30))
        features = rng.normal(size=(20, 30)) * np.sqrt(np.diag(truth))
        sample = np.cov(features, rowvar=False, bias=True)
        shrunk = shrunk_covariance(features)
        assert np.linalg.norm(shrunk - truth) < 0.5 * np.linalg.norm(sample - truth)
        assert np.trace(shrunk) == pytest.approx(np.trace(sample))
        assert np.linalg.eigvalsh(shrunk).min() > 0

    def test_fades_with_many(self) -> None:
        features = np.random.default_rng(0).normal(size=(50_000, 3)) * [1, 2, 3]
        np.testing.assert_allclose(shrunk_covariance(features), np.cov(features, rowvar=False), atol=0.01)

    def test_of_videos_that_are_all_alike(self) -> None:
        assert np.array_equal(shrunk_covariance(np.ones((3, 4))), np.zeros((4, 4)))


@pytest.fixture(scope="module")
def videos() -> list[np.ndarray]:
    """Smooth textures, each drifting its own way."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(24):
        texture = cv2.GaussianBlur(rng.uniform(0, 1, (96, 96, 3)).astype(np.float32), (0, 0), 2)
        texture = (texture - texture.min()) / np.ptp(texture) * rng.uniform(120, 250)
        steps = np.arange(9)[:, None] * rng.integers(-3, 4, 2) + 32
        made.append(np.stack([texture[y : y + 32, x : x + 32] for y, x in steps]).astype(np.uint8))
    return made


def spoilt(videos: list[np.ndarray], how: Callable[[np.ndarray], np.ndarray]) -> float:
    """Distance of the videos from what `how` makes of them."""
    return frechet_distance(
        np.stack([video_features(how(video)) for video in videos]), np.stack([video_features(v) for v in videos])
    )


class TestFeatures:
    """What the distance between videos sees."""

    def test_are_the_same_numbers_every_time(self, videos: list[np.ndarray]) -> None:
        assert video_features(videos[0]).shape == (FEATURES,)
        assert np.array_equal(video_features(videos[0]), video_features(videos[0].copy()))
        assert spoilt(videos, lambda video: video) == pytest.approx(0, abs=1e-6)

    def test_known_videos_have_known_features(self) -> None:
        """A filter, a seed or a weight that changes makes another metric of it: old numbers must not be compared."""
        black = video_features(np.zeros((5, 16, 16, 3), np.uint8))
        ramp = video_features(np.arange(9 * 16 * 16 * 3, dtype=np.int64).reshape(9, 16, 16, 3).astype(np.uint8))
        np.testing.assert_allclose(black[:3], KNOWN[0], atol=1e-3)
        np.testing.assert_allclose(ramp[:3], KNOWN[1], atol=1e-3)

    def test_grows_with_noise(self, videos: list[np.ndarray]) -> None:
        rng = np.random.default_rng(1)
        distances = [
            spoilt(videos, lambda v, s=sigma: np.clip(v + rng.normal(0, s, v.shape), 0, 255).astype(np.uint8))
            for sigma in (2, 8, 32)
        ]
        assert 0.1 < distances[0] < distances[1] / 2 < distances[2] / 4

    def test_grows_with_blur(self, videos: list[np.ndarray]) -> None:
        distances = [
            spoilt(videos, lambda v, s=sigma: np.stack([cv2.GaussianBlur(frame, (0, 0), s) for frame in v]))
            for sigma in (0.5, 1, 2)
        ]
        assert 0.01 < distances[0] < distances[1] / 2 < distances[2] / 4

    def test_sees_the_order_of_frames(self, videos: list[np.ndarray]) -> None:
        rng = np.random.default_rng(1)
        swapped = spoilt(videos, lambda v: v[[1, 0, 3, 2, 5, 4, 7, 6, 8]])
        shuffled = spoilt(videos, lambda v: v[rng.permutation(9)])
        still = spoilt(videos, lambda v: np.repeat(v[:1], 9, axis=0))
        assert 0.5 < swapped < shuffled < still

    def test_sees_colour(self, videos: list[np.ndarray]) -> None:
        assert spoilt(videos, lambda v: v[..., ::-1]) > 0.2

    def test_of_simulated_like_clips_tell_families_apart(self) -> None:
        clips = [video_features(factories.make_clip(i).rgb) for i in range(16)]
        others = [video_features(255 - factories.make_clip(i).rgb) for i in range(16, 32)]
        same = frechet_distance(np.stack(clips[:8]), np.stack(clips[8:]))
        assert frechet_distance(np.stack(clips[:8]), np.stack(others[:8])) > 2 * same

    def test_name_videos_that_are_too_small(self) -> None:
        with pytest.raises(ValueError, match="not 1 of 8x32"):
            video_features(np.zeros((1, 8, 32, 3), np.uint8))
