"""The official folders and file names: what should be there, and what is.

    <data set>/split-videos/{testing-videos,testing}/30FPS/<ID>_testing-videos_30FPS_<view>_take-<n>_<scenario>.mp4
    <data set>/video-masks/real/30FPS/<ID>_video-masks_30FPS_<view>_take-<n>_<scenario>.mp4
    <data set>/switch-frames/<ID>_switch-frames_anyFPS_<view>_<scenario>.jpg
    <generated>/<ID>_<view>_<scenario>.mp4

IDs have four digits, and scenarios no underscore. Folders of other frame rates are named like 24FPS.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.physics_iq.problems import Problem

PERSPECTIVES = ("perspective-left", "perspective-center", "perspective-right")
TAKES = (1, 2)
FPS = 30
"""Frame rate that every video of the data set has."""

UNKNOWN = "unknown"
"""The category of scenarios without a description."""

_TESTING = ("testing-videos", "testing")
_DESCRIPTIONS = ("descriptions.csv", "descriptions/descriptions.csv")
_COLUMNS = {"scenario", "description", "category", "generated_video_name"}
_DESCRIBED = re.compile(r"(\d{4})_(perspective-(?:left|center|right))_take-(\d)_([^_]+?)(?:\.mp4)?")
_REAL = re.compile(
    r"(\d{4})_(?:testing-videos|video-masks)_(\d+)FPS_(perspective-(?:left|center|right))_take-(\d)_([^_]+)\.mp4"
)
_SWITCH = re.compile(
    r"(\d{4})_switch-frames_anyFPS_(perspective-(?:left|center|right))_(?:take-1_)?([^_]+)\.(?:jpg|jpeg|png)"
)
_SEED = re.compile(r"seed_(\d+)")

RealKey = tuple[str, int, str]
"""Perspective, take and scenario."""


@dataclass(frozen=True)
class View:
    """A scenario from one perspective: one generated video, named `name`. `id` is take 1's, `second` take 2's."""

    id: str
    scenario: str
    perspective: str
    name: str
    category: str = UNKNOWN
    prompt: str = ""
    second: str = "????"

    def real_name(self, take: int) -> str:
        """What the data set calls a take of it."""
        identity = self.id if take == 1 else self.second
        return f"{identity}_testing-videos_{FPS}FPS_{self.perspective}_take-{take}_{self.scenario}.mp4"


@dataclass(frozen=True)
class Dataset:
    """The data set in a folder: every view that a model must generate, and where real videos are."""

    root: Path
    testing: Path
    views: tuple[View, ...]
    described: bool
    _listings: dict[Path, dict[RealKey, Path]] = field(default_factory=dict, compare=False, repr=False)

    def real(self, view: View, take: int, fps: int = FPS) -> Path | None:
        """The real video of a view, None where there is none of this frame rate."""
        return self._listed(self.testing / f"{fps}FPS").get((view.perspective, take, view.scenario))

    def mask(self, view: View, take: int, fps: int = FPS) -> Path | None:
        """The mask video that the data set ships, None where it has none."""
        folder = self.root / "video-masks" / "real" / f"{fps}FPS"
        return self._listed(folder).get((view.perspective, take, view.scenario))

    def switch_frames(self, views: Sequence[View]) -> dict[str, Path]:
        """Images of the first frame, by the view's name. Raises ConfigurationError where one is missing."""
        found = {}
        for file in sorted((self.root / "switch-frames").glob("*")):
            if match := _SWITCH.fullmatch(file.name):
                found[match[2], match[3]] = file
        missing = [view.name for view in views if (view.perspective, view.scenario) not in found]
        if missing:
            raise ConfigurationError(
                f"{self.root / 'switch-frames'} lacks the first frames of {_few(missing)}; download the data set again"
            )
        return {view.name: found[view.perspective, view.scenario] for view in views}

    def problems(self) -> list[Problem]:
        """Real videos that are missing, or that no scenario needs."""
        folder = self.testing / f"{FPS}FPS"
        expected = {(v.perspective, take, v.scenario): v for v in self.views for take in TAKES}
        listed = self._listed(folder)
        found = [
            Problem("missing", view.real_name(key[1]), "left out", f"not in {folder}: no seed's {view.name} is scored")
            for key, view in expected.items()
            if key not in listed
        ]
        used = {path for key, path in listed.items() if key in expected}
        for file in _files(folder):
            if file not in used:
                named = _REAL.fullmatch(file.name) is not None
                message = "no scenario of the descriptions needs it" if named else "not named as the data set's videos"
                found.append(Problem("extra" if named else "wrong_name", file.name, "left out", message))
        return found

    def _listed(self, folder: Path) -> dict[RealKey, Path]:
        if folder not in self._listings:
            self._listings[folder] = {
                (match[3], int(match[4]), match[5]): file
                for file in _files(folder)
                if (match := _REAL.fullmatch(file.name))
            }
        return self._listings[folder]


@dataclass(frozen=True)
class Run:
    """The videos of one seed."""

    name: str
    folder: Path


def read_dataset(folder: str | Path) -> Dataset:
    """The data set in a folder, described by its descriptions.csv, or else by the names of its real videos.

    Raises:
        ConfigurationError: it is not the data set.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigurationError(f"dataset_dir: there is no folder {root}; give that of the Physics-IQ data set")
    candidates = [root / "split-videos" / name for name in _TESTING]
    testing = next((path for path in candidates if any(map(_is_real, _files(path / f"{FPS}FPS")))), None)
    if testing is None:
        looked = " or ".join(str(path / f"{FPS}FPS") for path in candidates)
        raise ConfigurationError(
            f"dataset_dir: {root} is not the Physics-IQ data set: there are no videos "
            f"<ID>_testing-videos_{FPS}FPS_<view>_take-<n>_<scenario>.mp4 in {looked}"
        )
    described = next((root / name for name in _DESCRIPTIONS if (root / name).is_file()), None)
    views = _views_of_files(testing / f"{FPS}FPS") if described is None else _views_of_descriptions(described)
    return Dataset(root, testing, views, described is not None)


def find_runs(generated_dir: str | Sequence[str]) -> tuple[list[Run], list[Problem]]:
    """The seeds' folders: those listed, or the subfolders seed_<n>, or else the folder itself; and files beside them.

    Raises:
        ConfigurationError: a folder does not exist, or holds no MP4 file.
    """
    if isinstance(generated_dir, str):
        folder = Path(generated_dir)
        seeds = sorted(
            (int(match[1]), path)
            for path in (folder.iterdir() if folder.is_dir() else ())
            if path.is_dir() and (match := _SEED.fullmatch(path.name))
        )
        runs = [Run(path.name, path) for _, path in seeds] or [Run(folder.name, folder)]
        beside = _files(folder) if seeds else []
    else:
        beside = []
        folders = [Path(entry) for entry in generated_dir]
        names = [path.name for path in folders]
        runs = [Run(n if names.count(n) == 1 else str(path), path) for n, path in zip(names, folders, strict=True)]
    for run in runs:
        if not any(file.suffix == ".mp4" for file in _files(run.folder)):
            state = "holds no MP4 files" if run.folder.is_dir() else "does not exist"
            raise ConfigurationError(
                f"generated_dir: {run.folder} {state}; give the folder of videos <ID>_<view>_<scenario>.mp4, a folder "
                "with subfolders seed_<n> of them, or a list of folders"
            )
    message = f"beside the subfolders {runs[0].name}, ..., which are scored"
    return runs, [Problem("extra", file.name, "left out", message) for file in beside]


def match_videos(run: Run, views: Sequence[View]) -> tuple[dict[str, Path], list[Problem]]:
    """The file of each view by the view's name, and what else there is or lacks.

    As in the official evaluator, four digits before an underscore decide which view a wrongly named file shows; it is
    read under its own name.
    """
    files = {file.name: file for file in _files(run.folder)}
    found = {view.name: files.pop(view.name) for view in views if view.name in files}
    by_id = {view.id: view for view in views}
    problems = []
    for name, file in files.items():
        view = by_id.get(name[:4]) if file.suffix == ".mp4" and name[4:5] == "_" else None
        if view is not None and view.name not in found:
            found[view.name] = file
            problems.append(Problem("wrong_name", name, "scored", f"taken for {view.name} by its number", run.name))
        else:
            reason = "no view has this name" if view is None else f"{found[view.name].name} is taken for this view"
            problems.append(Problem("extra", name, "left out", reason, run.name))
    problems += [
        Problem("missing", view.name, "left out", f"not in {run.folder}", run.name)
        for view in views
        if view.name not in found
    ]
    return found, problems


def _views_of_descriptions(file: Path) -> tuple[View, ...]:
    import pandas as pd

    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    if missing := sorted(_COLUMNS - set(table.columns)):
        raise ConfigurationError(f"{file} lacks the columns {', '.join(missing)}; take the data set's own")
    rows = {}
    for row in table.to_dict("records"):
        match = _DESCRIBED.fullmatch(row["scenario"])
        if match is None:
            raise ConfigurationError(f"{file}: scenario '{row['scenario']}' is not <ID>_<view>_take-<n>_<scenario>.mp4")
        rows[match[2], int(match[3]), match[4]] = (match[1], row)
    views = [
        View(
            identity,
            scenario,
            perspective,
            row["generated_video_name"],
            row["category"] or UNKNOWN,
            row["description"],
            rows.get((perspective, 2, scenario), (View.second, None))[0],
        )
        for (perspective, take, scenario), (identity, row) in rows.items()
        if take == 1
    ]
    return _in_order(views)


def _views_of_files(folder: Path) -> tuple[View, ...]:
    """From the real videos of either take; the number of take 1 is not known where that is missing."""
    views: dict[tuple[str, str], View] = {}
    for match in filter(None, (_REAL.fullmatch(file.name) for file in _files(folder))):
        identity, perspective, take, scenario = match[1], match[3], match[4], match[5]
        if take == "1" or (perspective, scenario) not in views:
            name = f"{identity}_{perspective}_{scenario}.mp4"
            views[perspective, scenario] = View(identity, scenario, perspective, name)
    return _in_order(list(views.values()))


def _in_order(views: list[View]) -> tuple[View, ...]:
    return tuple(sorted(views, key=lambda view: view.id))


def _files(folder: Path) -> list[Path]:
    """Files of a folder, sorted, none of them hidden; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _is_real(file: Path) -> bool:
    return _REAL.fullmatch(file.name) is not None


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
