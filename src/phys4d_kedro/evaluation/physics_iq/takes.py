"""The two real videos that a generated one is compared with."""

from dataclasses import dataclass
from pathlib import Path

from phys4d_kedro.errors import MediaError
from phys4d_kedro.evaluation.physics_iq.layout import FPS, TAKES, Dataset, View
from phys4d_kedro.evaluation.physics_iq.masks import Size
from phys4d_kedro.evaluation.physics_iq.problems import Problem
from phys4d_kedro.evaluation.physics_iq.videos import Source, VideoInfo, probe

_QUARTER = 4


@dataclass(frozen=True)
class Rules:
    """What decides the figures, beside the videos; see PhysicsIqConfig."""

    exact: bool = True
    shipped_masks: bool = True
    seconds: float = 5.0
    shortest: float = 0.9


@dataclass(frozen=True)
class Takes:
    """The two real videos of a view at one frame rate, with their shipped masks where those can be used."""

    sources: tuple[Source, Source]
    masks: tuple[Path | None, Path | None]
    native: bool

    @classmethod
    def find(cls, dataset: Dataset, view: View, fps: float, rules: Rules, problems: list[Problem]) -> "Takes | None":
        """Those of a frame rate; blended from 30 FPS where the data set has none of it.

        What is wrong is added to `problems`; None where a take cannot be used.
        """
        native = all(dataset.real(view, take, int(fps)) for take in TAKES) and fps == int(fps)
        folder_fps = int(fps) if native else FPS
        found = [_open(dataset.real(view, take, folder_fps), view, rules, problems) for take in TAKES]
        infos = [info for info in found if info is not None]
        if len(infos) < len(TAKES):
            return None
        sources, masks = [], []
        for take, info in zip(TAKES, infos, strict=True):
            seconds = min(rules.seconds, info.frames / info.fps)
            source = Source(info, info.within(rules.seconds), None if native else int(seconds * fps + 1e-9))
            sources.append(source)
            mask = dataset.mask(view, take, folder_fps) if native and rules.exact and rules.shipped_masks else None
            masks.append(mask if mask is not None and _usable(mask, source.length, problems) else None)
        return cls((sources[0], sources[1]), (masks[0], masks[1]), native)

    @property
    def size(self) -> Size:
        """What frames and masks are scaled to: a quarter of take 1."""
        info = self.sources[0].info
        return info.width // _QUARTER, info.height // _QUARTER


def _open(path: Path | None, view: View, rules: Rules, problems: list[Problem]) -> VideoInfo | None:
    """A take's header; None where it is missing (which the data set says itself), unreadable or too short."""
    if path is None:
        return None
    lost = f"no seed's {view.name} is scored"
    try:
        info = probe(path)
    except MediaError as error:
        problems.append(Problem("unreadable", path.name, "left out", f"{error}; {lost}"))
        return None
    wanted = info.within(rules.seconds)
    if min(info.height, info.width) < _QUARTER:
        problems.append(Problem("size", path.name, "left out", f"{info.width}x{info.height} has no quarter; {lost}"))
        return None
    if info.frames < wanted:
        enough = info.frames >= rules.shortest * wanted
        rest = "the rest is not compared" if enough else lost
        message = f"{info.frames} frames; {wanted} are {rules.seconds:g} s; {rest}"
        problems.append(Problem("short", path.name, "scored" if enough else "left out", message))
        return info if enough else None
    return info


def _usable(mask: Path, needed: int, problems: list[Problem]) -> bool:
    """Whether a shipped mask video has a mask for every frame."""
    try:
        frames = probe(mask).frames
    except MediaError as error:
        reason = str(error)
    else:
        reason = f"{frames} masks for {needed} frames" if frames < needed else ""
    if reason:
        message = f"{reason}; this take's masks are computed instead"
        problems.append(Problem("masks", mask.name, "scored", message))
    return not reason
