"""Generated videos of held-out clips beside two baselines: tables of scores, and their summary; docs/generation.md."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.evaluation.statistics import by_clip_and_seed, margins, mean_over_clips, mean_over_seeds
from phys4d_kedro.evaluation.video_features import FEATURES, frechet_distance, video_features
from phys4d_kedro.evaluation.video_metrics import GENERATION_METRICS, Video, copy_first_frame, score_video

GENERATED, COPY, VAE, TRUTH = "generated", "copy", "vae", "truth"
ALL = "all"
"""The name that every clip together has among the categories."""

FRECHET = "frechet"

COLUMNS = ("method", "seed", "clip_id", "category", "metric", "value")
_FEATURE_COLUMNS = [f"feature_{k:02d}" for k in range(FEATURES)]


@dataclass(frozen=True)
class JudgedClip:
    """A held-out clip with all that is judged by it.

    `generated`: by seed. `reconstructed`: the truth through the VAE and back, the ceiling of what a model that works in
    its latents can reach; None where it is not known. `copy`, the first frame, needs nothing.

    Raises:
        InvalidClipError: a video has not the size of the true one, or that has a single frame.
    """

    clip_id: str
    category: str
    truth: Video
    generated: Mapping[int, Video] = field(default_factory=dict)
    reconstructed: Video | None = None

    def __post_init__(self) -> None:
        if len(self.truth) < 2:
            raise InvalidClipError(f"clip '{self.clip_id}': a single frame shows nothing to judge a generated video by")
        for method, seed, video in self.videos():
            if video.shape != self.truth.shape or video.dtype != np.uint8:
                raise InvalidClipError(
                    f"clip '{self.clip_id}': the video of '{method}' (seed {seed}) is {video.dtype} {video.shape}, the "
                    f"true one {self.truth.dtype} {self.truth.shape}; generate as many frames of the same size"
                )

    def videos(self) -> Iterator[tuple[str, int | None, Video]]:
        """Method, seed and video of all that is judged."""
        for seed, video in self.generated.items():
            yield GENERATED, seed, video
        yield COPY, None, copy_first_frame(self.truth)
        if self.reconstructed is not None:
            yield VAE, None, self.reconstructed


def judge_generation(clips: Iterable[JudgedClip]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and features, clip by clip, so that `clips` may be made on the way.

    Returns:
        A tidy table of COLUMNS; and the features that the Frechet distance takes: a row a method (with `truth`), seed
        and clip, with method, seed, clip_id, category and a column a feature.
    """
    scores: list[tuple[Any, ...]] = []
    features: list[tuple[Any, ...]] = []
    for clip in clips:
        identity = clip.clip_id, clip.category
        features.append((TRUTH, None, *identity, *video_features(clip.truth)))
        for method, seed, video in clip.videos():
            scores += [(method, seed, *identity, *score) for score in score_video(video, clip.truth).items()]
            features.append((method, seed, *identity, *video_features(video)))
    return (
        pd.DataFrame(scores, columns=list(COLUMNS)).astype({"seed": "Int64"}),
        pd.DataFrame(features, columns=[*COLUMNS[:4], *_FEATURE_COLUMNS]).astype({"seed": "Int64"}),
    )


def summarise_generation(
    scores: pd.DataFrame, features: pd.DataFrame, *, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """What the two tables of `judge_generation` say, JSON-able, nested metric / category (with ALL of them together).

    `means[method]`: see `mean_over_clips`. `margins[baseline]`: how far `generated` is ahead of another method, in the
    metric's unit, see `margin`. `frechet` has means alone, of all clips.
    """
    summary: dict[str, dict[str, Any]] = {}
    for metric, info in GENERATION_METRICS.items():
        rows = scores[scores["metric"] == metric]
        by_category = {ALL: rows} | {str(name): members for name, members in rows.groupby("category") if name}
        summary[metric] = {}
        for category, members in by_category.items():
            values = {str(method): by_clip_and_seed(own) for method, own in members.groupby("method")}
            summary[metric][category] = {
                "means": {method: mean_over_clips(value) for method, value in values.items()},
                "margins": margins(info, values, GENERATED, values, resamples=resamples, seed=seed),
            }
    summary[FRECHET] = {ALL: {"means": frechet_means(features)}}
    return summary


def frechet_means(features: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Frechet distance of every method to the truth of the same clips: `mean` over seeds, `seed_std`, `clips`.

    A method with fewer than two clips is left out.
    """
    truth = features[features["method"] == TRUTH].set_index("clip_id")[_FEATURE_COLUMNS]

    def distance(rows: pd.DataFrame) -> float:
        return frechet_distance(rows[_FEATURE_COLUMNS].to_numpy(), truth.loc[rows["clip_id"]].to_numpy())

    groups = features[features["method"] != TRUTH].groupby(["method", "seed"], dropna=False)
    distances = {key: (distance(rows), len(rows)) for key, rows in groups if len(rows) > 1}
    table = pd.DataFrame.from_dict(distances, orient="index", columns=["value", "clips"])
    table.index = pd.MultiIndex.from_tuples(distances, names=["method", "seed"])
    return {
        str(method): mean_over_seeds(rows["value"]) | {"clips": int(rows["clips"].max())}
        for method, rows in table.groupby("method")
    }
