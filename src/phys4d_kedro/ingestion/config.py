"""Parameters of ingestion: what is read, and what clips are made of it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.clips.config import ClipExpectations, ClipLength


class VideoFolder(BaseModel):
    """A folder of video files, in whatever format FFmpeg decodes; a `metadata.csv` in it may give prompts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["videos"] = Field(description="A folder of video files.")
    folder: str = Field(description="The folder, from the project's root; its subfolders are searched too.")
    patterns: tuple[str, ...] = Field(("*",), description="File names that are taken (shell patterns).")
    optional: bool = Field(False, description="Pass over the folder where it is missing or empty.")
    category: str = Field("real", description="Category of the clips.")


class DistributionVideos(BaseModel):
    """Video files that an installed Python distribution ships; the package itself is not imported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["distribution"] = Field(description="Video files inside an installed distribution.")
    distribution: str = Field(description="Name of the distribution, as pip lists it.")
    patterns: tuple[str, ...] = Field(("*",), description="File names that are taken (shell patterns).")
    category: str = Field("real", description="Category of the clips.")


class IsaacFolder(BaseModel):
    """A folder of frame sequences as NVIDIA Isaac Sim's Replicator writes them (docs/clips.md has the layout)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["isaac"] = Field(description="A folder of frame sequences with annotations, of Isaac Sim.")
    folder: str = Field(description="The folder, from the project's root.")
    fps: float = Field(gt=0, description="Frames per second that the sequences were rendered at.")
    motion: Literal["replicator", "forward"] = Field(
        "replicator",
        description="What motion_vectors hold: `replicator`, as NVIDIA documents them, where a pixel was in the frame "
        "before, x and y in pixels, the other channels unused; `forward`, where it goes in the frame after: dx right, "
        "dy down (pixels), dz (metres), valid (0 or 1).",
    )
    optional: bool = Field(False, description="Pass over the folder where it is missing or empty.")
    category: str = Field("isaac", description="Category of the clips.")


SourceConfig = Annotated[VideoFolder | DistributionVideos | IsaacFolder, Field(discriminator="kind")]


class VideoExpectations(BaseModel):
    """What must hold of the video files before any clip is made of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    containers: tuple[str, ...] = Field(
        (), description="Containers that are taken, by FFmpeg's names (mp4, matroska, avi); none: any."
    )
    min_height: int = Field(1, ge=1, description="Every video has at least this many rows.")
    min_width: int = Field(1, ge=1, description="Every video has at least this many columns.")
    min_fps: float = Field(1.0, gt=0, description="Every video has at least this many frames per second.")
    max_fps: float = Field(1000.0, gt=0, description="No video has more frames per second.")
    min_seconds: float = Field(0.0, ge=0, description="Every video is at least this long.")
    max_seconds: float | None = Field(None, gt=0, description="No video is longer; none: any length.")
    min_readable_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="At least this share of the files can be read; of account where on_error leaves the others out.",
    )


class IngestionConfig(BaseModel):
    """What the ingestion pipeline reads, and the clips it makes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(ge=8, description="Rows of a clip; frames are resized to cover it and cropped at the centre.")
    width: int = Field(ge=8, description="Columns of a clip.")
    frames: ClipLength = Field(description="Frames of a clip, 1 + 4k.")
    fps: float = Field(gt=0, description="Frames per second of clips from videos; slower videos are refused.")
    stride: int | None = Field(
        None,
        ge=1,
        description="Frames from the start of a clip to that of the next one of the same video; none: frames.",
    )
    max_clips_per_video: int | None = Field(
        None, ge=1, description="At most so many clips of one video or sequence, the first ones; none: all."
    )
    on_error: Literal["stop", "skip"] = Field(
        "stop",
        description="What files that cannot be used do: `stop` the run before any clip is made, all of them named; "
        "`skip` leaves them out, logged and reported, and reads every file twice to be sure.",
    )
    sources: tuple[SourceConfig, ...] = Field(min_length=1, description="What is read.")
    videos: VideoExpectations = Field(VideoExpectations(), description="What must hold of the video files.")
    quality: ClipExpectations = Field(description="What must hold of the clips made.")
