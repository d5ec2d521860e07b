"""Parameters of storing and checking clips."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ClipCoding(BaseModel):
    """How the arrays of a clip are coded on disk; docs/clips.md has the measured sizes and losses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rgb: Literal["lossless", "h264"] = Field(
        "lossless", description="RGB as H.264 without loss, or with the loss that `crf` allows."
    )
    crf: int = Field(12, ge=1, le=40, description="Constant rate factor of lossy RGB: lower is better and larger.")
    mantissa_bits: int = Field(
        12,
        ge=4,
        le=23,
        description="Bits kept of the 23 in the mantissa of depth, motion and confidences: the relative error is at "
        "most 2^-(bits + 1); 23 stores them exactly.",
    )
    chunk_frames: int = Field(
        4, ge=1, description="Frames coded together: a frame window is read in whole chunks of this length."
    )
