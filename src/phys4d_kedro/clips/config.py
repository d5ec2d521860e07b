"""Parameters of storing and checking clips."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ClipCoding(BaseModel):
    """How the arrays of a clip are coded on disk; docs/clips.md has the measured sizes and losses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rgb: Literal["lossless", "h264"] = Field(
        "lossless", description="RGB frames as H.264 without loss, or with the loss that `crf` allows."
    )
    crf: int = Field(
        12, ge=1, le=40, description="Constant rate factor of lossy H.264: lower is better and larger."
    )
    floats: Literal["float16", "float32"] = Field(
        "float16",
        description="Stored precision of depth, motion and confidences: float16 keeps inf and a relative error below "
        "2^-11; an array that float16 cannot hold so is stored as float32.",
    )
    chunk_frames: int = Field(
        8, ge=1, description="Frames coded together: a window is read in whole chunks of this length."
    )
