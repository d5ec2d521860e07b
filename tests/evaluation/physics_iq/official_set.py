"""A small data set in the official layout, and videos generated for it: shapes that move before a textured wall."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqConfig

VIEWS = ("perspective-left", "perspective-center", "perspective-right")
SCENARIOS = {"ball-falls": "Solid Mechanics", "water-pours": "Fluid Dynamics"}
FPS, SECONDS = 30, 0.5
FRAMES = round(FPS * SECONDS)
SIZE = (64, 96)
COLUMNS = ("scenario", "description", "category", "generated_video_name")

Frames = NDArray[np.uint8]
Configure = Callable[..., PhysicsIqConfig]


def film(seed: int, frames: int = FRAMES, size: tuple[int, int] = SIZE, *, still: bool = False) -> Frames:
    """(T, H, W, 3) BGR: a disc and a box move as the seed says, one way in FRAMES or fewer, then back and so on."""
    height, width = size
    rng = np.random.default_rng(seed)
    wall = cv2.GaussianBlur(np.random.default_rng(7).integers(60, 130, (height, width, 3)).astype(np.uint8), (0, 0), 2)
    start, speed = rng.uniform(0.25, 0.4, (2, 2)), rng.uniform(0.2, 0.5, (2, 2))
    shown = []
    sweeps = 0 if still else max(1, frames // FRAMES)
    for t in 1 - np.abs(1 - np.linspace(0, sweeps, frames) % 2):
        picture = wall.copy()
        (x, y), (u, v) = ((start + speed * t) * (width, height)).astype(int)
        cv2.circle(picture, (int(x), int(y)), height // 8, (40, 60, 230), -1)
        cv2.rectangle(picture, (int(u), int(v)), (int(u) + width // 8, int(v) + height // 6), (230, 200, 30), -1)
        shown.append(picture)
    return np.stack(shown)


def write_mp4v(path: Path, frames: Frames, fps: float = FPS) -> Path:
    """By OpenCV's writer, as many evaluation scripts do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def write_h264(path: Path, frames: Frames, fps: float = FPS) -> Path:
    """H.264 in yuv420p, or in yuv444p where a side is odd."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = height, width
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        stream.options = {"crf": "18"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="bgr24")))
        container.mux(stream.encode(None))
    return path


@dataclass(frozen=True)
class OfficialSet:
    """The folders of a data set and of generated videos."""

    root: Path
    generated: Path
    testing: str = "testing-videos"
    scenarios: Sequence[str] = tuple(SCENARIOS)
    frames: int = FRAMES

    def name(self, scenario: str, view: str) -> str:
        """Of a generated video."""
        return f"{self.number(scenario, view):04d}_{view}_{scenario}.mp4"

    def number(self, scenario: str, view: str, take: int = 1) -> int:
        """The ID of a real video."""
        index = self.scenarios.index(scenario) * 3 + VIEWS.index(view) + 1
        return index + (take - 1) * 3 * len(self.scenarios)

    def seed(self, scenario: str, view: str) -> int:
        """Of the motion of take 1; take 2 is near it."""
        return 100 * self.number(scenario, view)

    def real(self, scenario: str, view: str, take: int, fps: int = FPS, kind: str = "testing-videos") -> Path:
        """A real video, or with `kind` a mask of one."""
        folder = f"split-videos/{self.testing}" if kind == "testing-videos" else "video-masks/real"
        number = self.number(scenario, view, take)
        return self.root / folder / f"{fps}FPS" / f"{number:04d}_{kind}_{fps}FPS_{view}_take-{take}_{scenario}.mp4"

    def events(self) -> list[tuple[str, str]]:
        """Every scenario and view."""
        return [(scenario, view) for scenario in self.scenarios for view in VIEWS]

    def film(self, scenario: str, view: str, take: int, frames: int | None = None) -> Frames:
        """What a take shows."""
        shape = frames or self.frames
        first = film(self.seed(scenario, view), shape)
        if take == 1:
            return first
        second = first.copy()
        second[1:, 2:, 3:] = first[1:, :-2, :-3]  # nearly the same happens again
        return second

    def write(self, *, descriptions: bool = True, switch_frames: bool = False) -> "OfficialSet":
        """The data set. Take 1 is mp4v, take 2 H.264."""
        for scenario, view in self.events():
            for take, encode in ((1, write_mp4v), (2, write_h264)):
                encode(self.real(scenario, view, take), self.film(scenario, view, take))
            if switch_frames:
                number = self.number(scenario, view)
                image = self.root / "switch-frames" / f"{number:04d}_switch-frames_anyFPS_{view}_{scenario}.jpg"
                image.parent.mkdir(exist_ok=True)
                cv2.imwrite(str(image), self.film(scenario, view, 1)[0])
        if descriptions:
            with (self.root / "descriptions.csv").open("w", newline="") as file:
                table = csv.writer(file)
                table.writerow(COLUMNS)
                for take in (1, 2):
                    for scenario, view in self.events():
                        number = self.number(scenario, view, take)
                        row = f"{number:04d}_{view}_take-{take}_{scenario}.mp4"
                        prompt = f"In {scenario}, things move."
                        table.writerow([row, prompt, SCENARIOS[scenario], f"{number:04d}_{view}_{scenario}.mp4"])
        return self

    def generate(self, folder: str = "", *, seed: int = 0) -> Path:
        """A video of every event, alternately mp4v and H.264, more or less as in take 1."""
        target = self.generated / folder
        for i, (scenario, view) in enumerate(self.events()):
            frames = self.film(scenario, view, 1).copy()
            shift = 1 + (seed + i) % 4
            frames[1:, :, shift:] = frames[1:, :, :-shift]
            (write_h264 if i % 2 else write_mp4v)(target / self.name(scenario, view), frames)
        return target
