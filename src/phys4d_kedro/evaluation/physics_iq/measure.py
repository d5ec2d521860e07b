"""One view measured: take 1 against take 2, and each generated video against take 1, every file decoded once.

In memory are a frame of one video, its background and running sums. Take 1's small frames and masks go to a file of a
temporary folder (1.6 MB a frame at 3840x2160), where the other videos' frames meet them.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from phys4d_kedro.errors import MediaError
from phys4d_kedro.evaluation.physics_iq.cache import Cache, identity
from phys4d_kedro.evaluation.physics_iq.judge import judge_takes, judge_video
from phys4d_kedro.evaluation.physics_iq.layout import Dataset, View
from phys4d_kedro.evaluation.physics_iq.masks import CodecMasks, Masks, PlainMasks, ShippedMasks
from phys4d_kedro.evaluation.physics_iq.metrics import Comparison, MaskOverlap, frame_mse
from phys4d_kedro.evaluation.physics_iq.problems import Problem
from phys4d_kedro.evaluation.physics_iq.small_video import SmallVideo
from phys4d_kedro.evaluation.physics_iq.takes import Rules, Takes
from phys4d_kedro.evaluation.physics_iq.videos import Source, VideoInfo, probe


@dataclass(frozen=True)
class ViewTask:
    """A view, and the generated videos of it by run."""

    dataset: Dataset
    view: View
    videos: dict[str, Path]
    rules: Rules
    cache: Cache


@dataclass(frozen=True)
class Measured:
    """A generated video against take 1, and take 1 against take 2 over the same frames a second."""

    generated: Comparison
    variance: Comparison


@dataclass(frozen=True)
class ViewOutcome:
    """What was measured of a view, by run, and what was found wrong."""

    view: View
    measured: dict[str, Measured]
    problems: tuple[Problem, ...]


def measure_view(task: ViewTask, threads: int | None = None) -> ViewOutcome:
    """Measure every generated video of a view; with `threads`, OpenCV is held to so many in this process."""
    import cv2

    if threads is not None:
        cv2.setNumThreads(threads)
    problems: list[Problem] = []
    by_fps: dict[float, dict[str, VideoInfo]] = {}
    for run, path in task.videos.items():
        try:
            info = probe(path)
        except MediaError as error:
            problems.append(Problem("unreadable", path.name, "left out", str(error), run))
        else:
            by_fps.setdefault(info.fps, {})[run] = info
    measured: dict[str, Measured] = {}
    for fps, videos in by_fps.items():
        takes = Takes.find(task.dataset, task.view, fps, task.rules, problems)
        if takes is None:
            continue
        try:
            measured |= _measure_runs(task, takes, videos, problems)
        except MediaError as error:
            message = f"{error}; no seed's {task.view.name} is scored"
            problems.append(Problem("unreadable", task.view.real_name(1), "left out", message))
    return ViewOutcome(task.view, {run: measured[run] for run in task.videos if run in measured}, tuple(problems))


def _measure_runs(
    task: ViewTask, takes: Takes, videos: dict[str, VideoInfo], problems: list[Problem]
) -> dict[str, Measured]:
    """Generated videos of one frame rate; what the cache has is not measured again."""
    fps = next(iter(videos.values())).fps
    files = [*(source.info.path for source in takes.sources), *(mask for mask in takes.masks if mask)]
    rules = task.rules
    key = [rules.exact, rules.shipped_masks, rules.seconds, fps, *map(identity, files)]
    limit = next(iter(videos.values())).within(task.rules.seconds)
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="physics_iq_") as folder:
        take_1 = _FirstTake(takes, fps, rules, Path(folder))
        variance = task.cache.get([*key, "variance"])
        if variance is None:
            variance = take_1.compare(takes.sources[1], takes.masks[1])
            task.cache.put([*key, "variance"], variance)
        for run, info in videos.items():
            own = [*key, identity(info.path)]
            generated = task.cache.get(own)
            if generated is None:
                try:
                    generated = take_1.compare(Source(info, limit), None)
                except MediaError as error:
                    problems.append(Problem("unreadable", info.path.name, "left out", str(error), run))
                    continue
                task.cache.put(own, generated)
            notes = judge_video(info, generated, limit, takes, rules)
            problems += [replace(note, run=run) for note in notes]
            if all(note.effect == "scored" for note in notes):
                found[run] = Measured(generated, variance)
    problems += judge_takes(takes, variance)
    return found


class _FirstTake:
    """Take 1, to compare videos with. It is decoded when first needed."""

    def __init__(self, takes: Takes, fps: float, rules: Rules, folder: Path) -> None:
        self._takes, self._fps, self._rules, self._folder = takes, fps, rules, folder
        self._small: SmallVideo | None = None

    def compare(self, source: Source, shipped: Path | None) -> Comparison:
        """A video against it, over the frames that both have. Raises MediaError where there are none."""
        import cv2

        if self._small is None:
            self._small = self._decode()
        masks, mse, overlap = self._masks(source, shipped), [], MaskOverlap()
        for (other, where), frame in zip(self._small, source, strict=False):
            overlap.add(masks(frame), where)
            mse.append(frame_mse(cv2.resize(frame, self._takes.size), other))
        if not mse:
            raise MediaError(f"video {source.info.path} decodes to no frame")
        return overlap.finish(mse)

    def _decode(self) -> SmallVideo:
        import cv2

        source = self._takes.sources[0]
        masks = self._masks(source, self._takes.masks[0])
        small = SmallVideo(self._folder / "take_1", self._takes.size)
        if not small.write((cv2.resize(frame, self._takes.size), masks(frame)) for frame in source):
            raise MediaError(f"video {source.info.path} decodes to no frame")
        return small

    def _masks(self, source: Source, shipped: Path | None) -> Masks:
        size = self._takes.size
        if shipped is not None:
            return ShippedMasks(shipped, source.length, size)
        return CodecMasks(self._fps, size) if self._rules.exact else PlainMasks(size)
