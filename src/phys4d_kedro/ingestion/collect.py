"""From sources to clips: find the files, check them all, then describe the clips to be made of them."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.errors import MediaError
from phys4d_kedro.ingestion.config import DistributionVideos, IngestionConfig, IsaacFolder, SourceConfig
from phys4d_kedro.ingestion.isaac import FrameSequence, check_sequence, find_sequences, read_window
from phys4d_kedro.ingestion.validation import validate_videos
from phys4d_kedro.ingestion.videos import (
    ROUNDING,
    VideoFacts,
    VideoFile,
    check_video,
    find_distribution_videos,
    find_videos,
    read_frames,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """A clip to be made: `frames` frames of a video or sequence from `start` on.

    `first` is the time of frame 0 of the video in seconds; `content` the hash of what is read.
    """

    clip_id: str
    item: VideoFile | FrameSequence
    start: int
    content: str
    first: Fraction = Fraction(0)


@dataclass(frozen=True)
class MakeClip:
    """Makes the clip of a window; picklable, so that any process can."""

    windows: tuple[Window, ...]
    height: int
    width: int
    frames: int
    fps: Fraction

    def __call__(self, index: int) -> Clip:
        """Clip `index`. Raises MediaError, naming the file, where it turns out not to be usable."""
        window = self.windows[index]
        if isinstance(window.item, VideoFile):
            return self._from_video(window, window.item)
        return self._from_sequence(window, window.item)

    def _from_video(self, window: Window, video: VideoFile) -> Clip:
        times = [window.first + (window.start + k) / self.fps for k in range(self.frames)]
        return Clip(
            clip_id=window.clip_id,
            rgb=read_frames(video, times, self.height, self.width),
            fps=float(self.fps),
            source="import",
            prompt=video.prompt,
            category=video.category,
            scene=_slug(video.label.rsplit("/", 1)[-1].rsplit(".", 1)[0]),
            parameters={"video": video.label, "start_seconds": float(window.start / self.fps)},
        )

    def _from_sequence(self, window: Window, sequence: FrameSequence) -> Clip:
        steps = sequence.steps[window.start : window.start + self.frames]
        arrays = read_window(sequence, steps, self.height, self.width)
        return Clip(
            clip_id=window.clip_id,
            rgb=arrays.pop("rgb"),
            fps=sequence.config.fps,
            source="import",
            prompt=sequence.prompt,
            category=sequence.config.category,
            scene=sequence.place.parts[0],
            parameters={"sequence": str(sequence.place), "first_step": steps[0], "motion": sequence.config.motion},
        ).with_(**arrays)


@dataclass
class Collection:
    """What checking the sources found. `duplicates` are videos left out because another has the same content.

    `videos` has what is known of each video file by its label; None where it cannot be read.
    """

    videos: dict[str, VideoFacts | None] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, str]] = field(default_factory=list)
    duplicates: list[dict[str, str]] = field(default_factory=list)


def collect_clips(config: IngestionConfig) -> tuple[ClipSource, dict[str, Any]]:
    """Check everything that the sources hold and describe the clips of it.

    Returns:
        The clips to be made, and a JSON-able report: `clips`, `sources` (kind, place, files, clips), `skipped` (file,
        reason), and what `validate_videos` says of the video files.

    Raises:
        MediaError: a source is empty or missing; or files cannot be used, all of them named, unless `on_error` is
            `skip`; or no clip is left.
        DataQualityError: video files are not what `videos` expects of them.
    """
    found = Collection()
    for source in config.sources:
        _collect(source, config, found)
    if found.faults and config.on_error == "stop":
        listed = "\n".join(f"- {fault['reason']}" for fault in found.faults)
        raise MediaError(
            f"{len(found.faults)} of the files cannot be used:\n{listed}\nRemove or replace them, or set "
            "ingestion.on_error: skip to leave them out."
        )
    quality = validate_videos(found.videos, config.videos)
    left_out = found.faults + found.duplicates
    for fault in left_out:
        logger.warning("left out: %s", fault["reason"])
    if not found.windows:
        raise MediaError("ingestion.sources hold nothing that a clip can be made of; see the log for what was left out")
    report = {"clips": len(found.windows), "sources": found.sources, "skipped": left_out, **quality}
    return _source(found.windows, config), report


def _collect(source: SourceConfig, config: IngestionConfig, found: Collection) -> None:
    from tqdm import tqdm

    items, place = _find(source)
    if not items:
        logger.info("%s: nothing there, passed over", place)
    first_with: dict[str, str] = {window.content: window.item.label for window in found.windows}
    before = len(found.windows)
    for item in tqdm(items, desc=f"Checking {place}", unit="file"):
        try:
            windows = list(_windows(item, config, found))
        except MediaError as error:
            found.faults.append({"file": item.label, "reason": str(error)})
            continue
        other = first_with.setdefault(windows[0].content, item.label)
        if other == item.label:
            found.windows += windows
        else:
            reason = f"'{item.label}' has the same content as '{other}'"
            found.duplicates.append({"file": item.label, "reason": reason})
    clips = len(found.windows) - before
    found.sources.append({"kind": source.kind, "place": place, "files": len(items), "clips": clips})


def _find(source: SourceConfig) -> tuple[Sequence[VideoFile | FrameSequence], str]:
    """The files of a source, and its name."""
    if isinstance(source, IsaacFolder):
        return find_sequences(source), source.folder
    if isinstance(source, DistributionVideos):
        return find_distribution_videos(source), source.distribution
    return find_videos(source), source.folder


def _windows(item: VideoFile | FrameSequence, config: IngestionConfig, found: Collection) -> Iterator[Window]:
    """The clips of a file. Raises MediaError where it cannot be used, or not one clip fits in it."""
    if isinstance(item, VideoFile):
        found.videos[item.label] = None
        found.videos[item.label] = facts = check_video(item, decode=config.on_error == "skip")
        return _video_windows(item, facts, config)
    return _sequence_windows(item, config)


def _video_windows(video: VideoFile, facts: VideoFacts, config: IngestionConfig) -> Iterator[Window]:
    fps = _fraction(config.fps)
    if 0 < facts.fps < 0.99 * config.fps:
        raise MediaError(
            f"video '{video.label}' has {facts.fps:.3g} frames per second, fewer than ingestion.fps = {config.fps:g}; "
            "lower it, or frames would repeat"
        )
    available = int((facts.last - facts.first + ROUNDING) * fps) + 1
    stem = _slug(video.label.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    for start in _starts(available, config, f"video '{video.label}'"):
        yield Window(f"{stem}-{facts.sha256[:8]}-{start:05d}", video, start, facts.sha256, facts.first)


def _sequence_windows(sequence: FrameSequence, config: IngestionConfig) -> Iterator[Window]:
    content = check_sequence(sequence, decode=config.on_error == "skip")
    for start in _starts(len(sequence.steps), config, f"sequence '{sequence.folder}'"):
        yield Window(f"{_slug(str(sequence.place))}-{start:05d}", sequence, start, content)


def _starts(available: int, config: IngestionConfig, name: str) -> range:
    if available < config.frames:
        raise MediaError(
            f"{name} is shorter than a clip: {available} frames at the clip's rate, {config.frames} are needed; lower "
            "ingestion.frames or raise ingestion.fps"
        )
    starts = range(0, available - config.frames + 1, config.stride or config.frames)
    return starts[: config.max_clips_per_video]


def _source(windows: list[Window], config: IngestionConfig) -> ClipSource:
    make = MakeClip(tuple(windows), config.height, config.width, config.frames, _fraction(config.fps))
    facts = [
        [config.height, config.width, config.frames, str(make.fps)],
        [[w.clip_id, w.content, w.start, w.item.prompt, w.item.settings] for w in windows],
    ]
    fingerprint = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return ClipSource(
        count=len(windows),
        fingerprint=fingerprint,
        make=make,
        description="Importing clips",
    )


def _fraction(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "clip"
