"""The reward's table, its terms, and the rule that stops a training whose judges part."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from factories import make_clip
from pydantic import ValidationError

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.judges import Generated
from phys4d_kedro.evaluation.reward import appearance_drift, judges_diverge, reward
from phys4d_kedro.evaluation.reward_config import DivergenceConfig, RewardConfig, RewardWeights
from phys4d_kedro.evaluation.worlds import prepare_reference
from phys4d_kedro.world_model.backbones.base import Condition


@dataclass(frozen=True)
class Truth:
    """A judge that knows the annotations; `speed` is what it makes of motion."""

    name: str
    speed: float = 1.0

    def annotate(self, generated: Generated) -> list[Clip]:
        return [clip.with_(motion=clip.motion * np.float32(self.speed)) for clip in generated.clips]


JUDGES = (Truth("heads"), Truth("estimators", speed=0.0))


def batch(clips: list[Clip]) -> Generated:
    return Generated(clips, torch.zeros(len(clips), 1, 1, 1, 1), Condition(torch.zeros(len(clips), 1, 1)))


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [make_clip(i) for i in range(3)]


def test_the_table_holds_every_term_and_their_weighted_sum(clips: list[Clip]) -> None:
    weights = {"chamfer_4d": 2.0, "chamfer_per_frame": 0.5, "motion_iou": 3.0, "appearance": 4.0}
    config = RewardConfig(weights=RewardWeights(**weights), appearance_tolerance=0.0)
    references = [prepare_reference(clip, config.world) for clip in clips]
    noisy = [clip.with_(rgb=np.random.default_rng(0).integers(0, 255, clip.rgb.shape, np.uint8)) for clip in clips]
    table = reward(batch(noisy), references, JUDGES, config)
    assert list(table["clip_id"]) == list(table["reference"]) == [clip.clip_id for clip in clips]
    for column, judge in (("reward", "heads"), ("independent", "estimators")):
        total = sum(w * table[f"{t}_{judge}" if "chamfer" in t else t] for t, w in weights.items())
        np.testing.assert_allclose(table[column], total)
    assert (table["chamfer_4d_heads"] > table["chamfer_4d_estimators"]).all()  # one judge sees it move, one does not
    assert (table["appearance"] < 0).all()
    assert table["motion_iou"].between(0, 1).all()


def test_the_config_says_whose_judgement_the_reward_is(clips: list[Clip]) -> None:
    by_heads, by_estimators = (RewardConfig(judge=name) for name in ("heads", "estimators"))
    references = [prepare_reference(clip, by_heads.world) for clip in clips]
    one = reward(batch(clips), references, JUDGES, by_heads)
    other = reward(batch(clips), references, JUDGES, by_estimators)
    assert one["reward"].equals(other["independent"])
    assert one["independent"].equals(other["reward"])
    assert not one["reward"].equals(one["independent"])


def test_clips_without_a_reference_have_no_reward_and_leave_the_others_alone(clips: list[Clip]) -> None:
    config = RewardConfig()
    references = [prepare_reference(clip, config.world) for clip in clips]
    everything = reward(batch(clips), references, JUDGES, config)
    table = reward(batch(clips), [references[0], None, references[2]], JUDGES, config)
    assert table["reward"].isna().tolist() == table["independent"].isna().tolist() == [False, True, False]
    assert table["reward"].iloc[[0, 2]].equals(everything["reward"].iloc[[0, 2]])


def test_the_decoded_first_frame_counts_for_nothing(clips: list[Clip]) -> None:
    config = RewardConfig(weights=RewardWeights(motion_iou=1.0, appearance=1.0))
    references = [prepare_reference(clip, config.world) for clip in clips]
    spoilt = [clip.with_(rgb=np.concatenate([clip.rgb[:1] // 3, clip.rgb[1:]])) for clip in clips]
    one, other = (reward(batch(some), references, JUDGES, config) for some in (clips, spoilt))
    assert one.equals(other)
    assert (one["motion_iou"] == 1).all()
    assert (one["appearance"] == 0).all()


def test_one_judge_or_a_stranger_is_refused(clips: list[Clip]) -> None:
    with pytest.raises(ConfigurationError, match="heads and estimators, not heads"):
        reward(batch(clips), [None] * 3, JUDGES[:1], RewardConfig())
    with pytest.raises(ConfigurationError, match="not heads, critic"):
        reward(batch(clips), [None] * 3, (JUDGES[0], Truth("critic")), RewardConfig())


def test_a_reward_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="every weight of the reward is 0"):
        RewardWeights(chamfer_4d=0)


class TestAppearance:
    """Colours and sharpness, wherever things are."""

    def test_nothing_but_the_truth_is_zero_and_moving_things_is_free(self, clips: list[Clip]) -> None:
        video = clips[0].rgb
        assert appearance_drift(video, video) == 0
        assert appearance_drift(np.roll(video, 5, axis=2), video) < 0.1
        assert appearance_drift(video[:, :, ::-1], video) == pytest.approx(0, abs=1e-6)

    def test_blur_noise_and_colour_cost_the_more_the_stronger(self, clips: list[Clip]) -> None:
        video = clips[0].rgb
        rng = np.random.default_rng(0)

        def blurred(passes: int) -> np.ndarray:
            values = video.astype(np.float32)
            for _ in range(passes):
                values = (np.roll(values, 1, 2) + values + np.roll(values, -1, 2)) / 3
            return values.astype(np.uint8)

        def noisy(size: float) -> np.ndarray:
            return np.clip(video + rng.normal(0, size, video.shape), 0, 255).astype(np.uint8)

        def tinted(share: float) -> np.ndarray:
            return (video * np.array([1, 1 - share, 1 - share])).astype(np.uint8)

        for spoil, weak, strong in ((blurred, 1, 4), (noisy, 10, 40), (tinted, 0.1, 0.4)):
            assert 0.05 < appearance_drift(spoil(weak), video) < appearance_drift(spoil(strong), video)

    def test_frames_of_one_colour_are_finite(self) -> None:
        flat = np.full((5, 8, 8, 3), 90, np.uint8)
        assert appearance_drift(flat, flat) == 0
        assert np.isfinite(appearance_drift(np.random.default_rng(0).integers(0, 255, flat.shape, np.uint8), flat))


class TestDivergence:
    """Judged reward up, independent reward down."""

    config = DivergenceConfig(window=6, tolerance=0.05)
    up, down, flat = np.linspace(-1, -0.5, 6), np.linspace(-1, -1.5, 6), np.full(6, -1.0)

    @pytest.mark.parametrize(
        ("judged", "independent", "diverges"),
        [
            (up, down, True),
            (up, up, False),
            (down, down, False),
            (down, up, False),
            (up, flat, False),
            (flat, down, False),
        ],
    )
    def test_only_a_rise_against_a_fall(self, judged: np.ndarray, independent: np.ndarray, diverges: bool) -> None:
        assert judges_diverge(judged.tolist(), independent.tolist(), self.config) is diverges

    def test_only_the_latest_window_counts(self) -> None:
        before = [9.0, -9.0] * 5
        assert judges_diverge([*before, *self.up], [*before, *self.down], self.config)
        assert not judges_diverge([*self.up, *self.up], [*self.down, *self.up], self.config)

    def test_too_short_a_history_says_nothing(self) -> None:
        assert not judges_diverge(self.up[:5].tolist(), self.down[:5].tolist(), self.config)

    def test_noise_within_tolerance_and_outliers_at_the_ends_do_not_stop_it(self) -> None:
        assert not judges_diverge((self.flat + 0.1 * (self.up + 0.75)).tolist(), self.down.tolist(), DivergenceConfig(
            window=6, tolerance=0.06
        ))  # fmt: skip
        rng = np.random.default_rng(0)
        stops = 0
        for _ in range(200):
            judged, independent = rng.normal(0, 0.02, (2, 6))
            stops += judges_diverge(judged.tolist(), independent.tolist(), self.config)
        assert stops <= 4
