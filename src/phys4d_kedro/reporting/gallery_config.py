"""Parameters of the gallery."""

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.clips.config import ClipLength
from phys4d_kedro.simulation.config import MOST_SAMPLES, CameraConfig, SceneNames


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
