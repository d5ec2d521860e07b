"""Parameters of the report and of the gallery."""

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.clips.config import ClipLength
from phys4d_kedro.simulation.config import MOST_SAMPLES, CameraConfig, SceneNames


class ReportingConfig(BaseModel):
    """What the report shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    predictor: str = Field(description="The predictor that the report is about; every other one is compared with it.")
    examples: int = Field(ge=1, description="Held-out clips shown as pictures, a scene each while scenes last.")
    sheet_columns: int = Field(ge=1, description="Frames in a row of a PNG sheet.")
    depth_clips: int = Field(ge=1, description="Clips of each set whose depth goes into the distribution.")
    depth_pixels: int = Field(ge=1, description="Random pixels of each of those clips.")
    seed: int = Field(description="Chooses those pixels.")


class GalleryConfig(BaseModel):
    """The `gallery` and `recording` pipelines; what is not said here is as in the `simulation` parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenes: SceneNames | None = Field(None, description="Names of the scenes to show, a clip each; none: all.")
    height: int = Field(ge=16, description="Rows of the images.")
    width: int = Field(ge=16, description="Columns of the images.")
    frames: ClipLength = Field(description="Frames of a clip, 1 + 4k.")
    fps: float = Field(gt=0, description="Frames a second.")
    samples: int = Field(ge=1, le=MOST_SAMPLES, description="Rays a pixel for the colours.")
    camera: CameraConfig
    sheet_bytes: int = Field(
        ge=10_000, description="Most bytes of a PNG; frames are shown as large as that allows, down to 48 rows."
    )
    draws: int = Field(ge=10, description="Configurations drawn of each scene for the distributions of attributes.")
    recording_scene: str = Field(description="The scene whose clip is recorded for Rerun.")
