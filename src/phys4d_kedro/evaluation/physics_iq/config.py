"""Parameters of Physics-IQ: scoring a folder of videos, and generating one."""

import math
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PhysicsIqConfig(BaseModel):
    """The pipeline `physics_iq`: which videos are scored, against what, and by which rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset_dir: str = Field(description="Folder of the official data set; nothing is written into it.")
    generated_dir: str | tuple[str, ...] = Field(
        description="Folder of videos, or of seed_<n>/ folders of them; or a list of folders, one a seed."
    )
    output: str = Field(description="JSON file of the scores.")
    exact: bool = Field(
        True,
        description="Write masks as mp4v video and read them back, as the official evaluator does; false is faster, "
        "and off by up to 0.8 points.",
    )
    shipped_masks: bool = Field(
        True,
        description="Take masks of real videos from video-masks/real where they are, as the official evaluator does "
        "(only if exact); false computes them.",
    )
    seconds: float = Field(5.0, gt=0, description="Length that is scored; the benchmark's is 5.")
    shortest: float = Field(
        0.9, gt=0, le=1, description="Share of that length which a video must have; shorter ones are left out."
    )
    jobs: int = Field(-1, description="Processes, each on a scenario and view of its own; -1: one a processor.")
    cache_dir: str = Field(description="Folder where what was measured is kept, for runs that go on or score again.")
    submission_dir: str | None = Field(None, description="Folder for CSV, JSON and a card; null: none is made.")
    submission_videos: Literal["none", "links", "copies"] = Field(
        "none", description="What goes into that folder of the videos themselves."
    )
    model_name: str = Field("unnamed", min_length=1, description="The model's name, on the card.")

    @model_validator(mode="after")
    def _check(self) -> "PhysicsIqConfig":
        if self.jobs == 0 or self.jobs < -1:
            raise ValueError(f"jobs must be -1 (one a processor) or at least 1, not {self.jobs}")
        folders = self.generated_dir if isinstance(self.generated_dir, tuple) else (self.generated_dir,)
        if len({Path(name).resolve() for name in folders}) != len(folders):
            raise ValueError("generated_dir names a folder twice, which would count it as two seeds")
        return self


class PhysicsIqGenerationConfig(BaseModel):
    """The pipeline `physics_iq_generation`: a video of every scenario and view, from its switch frame and prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset_dir: str = Field(description="Folder of the official data set.")
    generated_dir: str = Field(description="Folder that gets seed_<n>/<ID>_<view>_<scenario>.mp4.")
    seeds: tuple[int, ...] = Field(min_length=1, description="Each decides the noise of a set of videos.")
    scenarios: tuple[str, ...] | None = Field(None, min_length=1, description="Names of scenarios; null: all.")
    height: int = Field(ge=16, description="Rows that the model generates; switch frames are stretched to them.")
    width: int = Field(ge=16, description="Columns.")
    frames: int | None = Field(
        None, ge=1, description="Frames that the model generates; null: as few as the length needs and the model takes."
    )
    fps: float = Field(gt=0, description="Frame rate that the model generates for.")
    output_fps: float = Field(30.0, gt=0, description="Of the files; the nearest frame is shown.")
    seconds: float = Field(5.0, gt=0, description="Length of the files; the benchmark's is 5.")

    @property
    def least_frames(self) -> int:
        """Frames that fill the length."""
        return math.ceil(self.seconds * self.fps)

    @model_validator(mode="after")
    def _check(self) -> "PhysicsIqGenerationConfig":
        if self.frames is not None and self.frames < self.least_frames:
            raise ValueError(
                f"{self.frames} frames at {self.fps:g} FPS are {self.frames / self.fps:.2f} s, less than the "
                f"{self.seconds:g} s of a video; generate at least {self.least_frames} frames"
            )
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds must be different, and none below 0")
        return self
