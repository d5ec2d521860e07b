"""Parameters of storing and checking clips."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from phys4d_kedro.clips.clip import ARRAY_SPEC, check_length


def _array_key(key: str) -> str:
    if key not in ARRAY_SPEC:
        raise ValueError(f"no array of a clip; they are {', '.join(ARRAY_SPEC)}")
    return key


def _clip_length(frames: int) -> int:
    check_length(frames, "clip length")
    return frames


ArrayKey = Annotated[str, AfterValidator(_array_key)]
ClipLength = Annotated[int, Field(ge=1), AfterValidator(_clip_length)]


class ClipCoding(BaseModel):
    """How the arrays of a clip are coded on disk; docs/clips.md has the measured sizes and losses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rgb: Literal["lossless", "h264"] = Field(
        "lossless", description="RGB as H.264 without loss, or with the loss that `crf` allows."
    )
    crf: int = Field(16, ge=1, le=40, description="Constant rate factor of lossy RGB: lower is better and larger.")
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


class ClipExpectations(BaseModel):
    """What must hold of a set of clips before anything is trained on it or measured against it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_clips: int = Field(1, ge=1, description="The set has at least this many clips.")
    frames: ClipLength | None = Field(None, description="Every clip has this many frames (1 + 4k); none: any number.")
    height: int | None = Field(None, ge=1, description="Every clip has this many rows; none: any number.")
    width: int | None = Field(None, ge=1, description="Every clip has this many columns; none: any number.")
    keys: tuple[ArrayKey, ...] = Field((), description="Arrays that every clip has beside rgb.")
    categories: tuple[str, ...] = Field((), description="Categories that the set covers.")
    min_clips_per_category: int = Field(1, ge=1, description="Every category that occurs has at least this many clips.")
    min_depth: float = Field(0.01, gt=0, description="No depth is smaller, in metres.")
    max_depth: float = Field(1000.0, gt=0, description="No finite depth is larger, in metres.")
    min_depth_valid_share: float = Field(
        0.05, ge=0, le=1, description="Share of a clip's pixels with finite depth is at least this."
    )
    max_motion: float = Field(
        0.5, gt=0, description="No valid motion between two frames is longer than this share of the image's diagonal."
    )
    min_motion_valid_share: float = Field(
        0.05, ge=0, le=1, description="Share of a clip's pixels with valid motion is at least this."
    )
    min_depth_confidence: float | None = Field(
        None, ge=0, le=1, description="Mean depth confidence of a clip is at least this; none: it is not read."
    )
    min_motion_confidence: float | None = Field(
        None, ge=0, le=1, description="Mean motion confidence of a clip is at least this; none: it is not read."
    )
