"""The reward of generated clips, term by term, and when to stop believing it; docs/reward.md."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.judges import Generated, WorldJudge, judge_worlds
from phys4d_kedro.evaluation.reward_config import DivergenceConfig, RewardConfig
from phys4d_kedro.evaluation.video_metrics import GREY, Video, motion_masks, spatiotemporal_iou
from phys4d_kedro.evaluation.worlds import WorldReference, WorldScore, with_given_frame

_LEAST_SPREAD = 1.0  # grey levels: what counts as a frame of one colour, or without an edge


def reward(
    generated: Generated,
    references: Sequence[WorldReference | None],
    judges: Sequence[WorldJudge],
    config: RewardConfig,
) -> pd.DataFrame:
    """What clips generated from the first frames of `references` are worth; each is judged from its given frame on.

    Returns:
        A row a clip: clip_id, reference (its truth's id); of each judge `<term>_<judge>`; the terms of RGB; and
        `reward`, the weighted sum by the judge of the config, and `independent`, the same by the other one. All
        float, higher is better; NaN where the truth shows no moving object.

    Raises:
        ConfigurationError: the judges are not those two.
        InvalidClipError: a clip has another size than its truth, or predicted depth is infinite.
    """
    if sorted(judge.name for judge in judges) != ["estimators", "heads"]:
        raise ConfigurationError(
            f"the reward takes two judges, heads and estimators, not {', '.join(judge.name for judge in judges)}"
        )
    clips = [
        clip if truth is None else with_given_frame(clip, truth)
        for clip, truth in zip(generated.clips, references, strict=True)
    ]
    generated = replace(generated, clips=clips)
    rows: list[dict[str, Any]] = [
        {"clip_id": clip.clip_id, "reference": truth.clip_id if truth else None} | _video_terms(clip.rgb, truth, config)
        for clip, truth in zip(clips, references, strict=True)
    ]
    table = pd.DataFrame(rows)
    for judge in judges:
        scores = judge_worlds(judge, generated, references, align=config.world.align)
        terms = pd.DataFrame([_world_terms(score) for score in scores])
        table[[f"{term}_{judge.name}" for term in terms]] = terms
        table["reward" if judge.name == config.judge else "independent"] = _total(table, terms, config)
    return table


def appearance_drift(video: Video, truth: Video) -> float:
    """How far a video's frames are from the true ones in colours and sharpness, wherever things are: mean over frames.

    Colours: the distance between the sorted values of each channel (Wasserstein-1), as a share of their standard
    deviation in the truth. Sharpness: |log| of the ratio of mean grey gradients. 0 for the truth; of no unit.
    """
    return float(np.mean([_frame_drift(a, b) for a, b in zip(video[1:], truth[1:], strict=True)]))


def judges_diverge(judged: Sequence[float], independent: Sequence[float], config: DivergenceConfig) -> bool:
    """Whether, over the latest window, the judged reward rose while the independent one fell, each beyond tolerance.

    Rise and fall are those of the straight line that fits the window best, over its length: single outliers at its ends
    decide nothing.
    """
    if min(len(judged), len(independent)) < config.window:
        return False
    rise, fall = (_trend(np.asarray(values[-config.window :], np.float64)) for values in (judged, independent))
    return bool(rise > config.tolerance and fall < -config.tolerance)


def _video_terms(video: Video, truth: WorldReference | None, config: RewardConfig) -> dict[str, float]:
    if truth is None:
        return {"motion_iou": np.nan, "appearance": np.nan}
    return {
        "motion_iou": spatiotemporal_iou(motion_masks(video), motion_masks(truth.rgb)),
        "appearance": -max(0.0, appearance_drift(video, truth.rgb) - config.appearance_tolerance),
    }


def _world_terms(score: WorldScore | None) -> dict[str, float]:
    if score is None:
        return {"chamfer_4d": np.nan, "chamfer_per_frame": np.nan}
    return {
        "chamfer_4d": -score.chamfer_4d / score.scale,
        "chamfer_per_frame": -score.chamfer_per_frame / score.scale,
    }


def _total(video: pd.DataFrame, world: pd.DataFrame, config: RewardConfig) -> "pd.Series[float]":
    total = pd.Series(0.0, index=video.index)
    for term, weight in config.weights.model_dump().items():
        total += weight * (world[term] if term in world else video[term])
    return total


def _frame_drift(frame: Video, truth: Video) -> float:
    values, true = (f.reshape(-1, 3).astype(np.float32) for f in (frame, truth))
    between = np.abs(np.sort(values, 0) - np.sort(true, 0)).mean(0)
    colours = (between / np.maximum(true.std(0), _LEAST_SPREAD)).mean()
    return float(colours + abs(np.log(_sharpness(frame) / _sharpness(truth))))


def _sharpness(frame: Video) -> float:
    """Mean absolute difference of neighbouring grey values, along rows and columns."""
    grey = frame.astype(np.float32) @ GREY
    return float(max(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean(), _LEAST_SPREAD))


def _trend(values: np.ndarray) -> float:
    """Change along the least-squares line, from the first value's place to the last's."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0] * (len(values) - 1))
