"""The clip: a short video with what is known of its 4D state. The one type that flows through every pipeline."""

import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import InvalidClipError, MissingAnnotationError

Source = Literal["simulation", "pseudo", "import"]

# Letters of the shapes: T frames, H rows, W columns, N material points.
ARRAY_SPEC: dict[str, tuple[str, str]] = {
    "rgb": ("T H W 3", "uint8"),
    "depth": ("T H W", "float32"),
    "depth_confidence": ("T H W", "float32"),
    "motion": ("T-1 H W 3", "float32"),
    "motion_valid": ("T-1 H W", "bool"),
    "motion_confidence": ("T-1 H W", "float32"),
    "segmentation": ("T H W", "uint16"),
    "intrinsics": ("3 3", "float64"),
    "world_from_camera": ("T 4 4", "float64"),
    "tracks": ("T N 3", "float32"),
    "track_instance": ("N", "uint16"),
    "track_visible": ("T N", "bool"),
}

# Arrays that only make sense together.
COMPANIONS = {
    "motion": ("motion_valid",),
    "motion_valid": ("motion",),
    "motion_confidence": ("motion",),
    "depth_confidence": ("depth",),
    "tracks": ("track_instance", "track_visible"),
    "track_instance": ("tracks",),
    "track_visible": ("tracks",),
}

_PRODUCERS = {
    "depth": "simulation (exact) or pseudo_labeling (estimated)",
    "depth_confidence": "pseudo_labeling",
    "motion": "simulation (exact) or pseudo_labeling (estimated)",
    "motion_valid": "simulation (exact) or pseudo_labeling (estimated)",
    "motion_confidence": "pseudo_labeling",
    "segmentation": "simulation",
    "intrinsics": "simulation, or ingestion of folders that hold camera files",
    "world_from_camera": "simulation, or ingestion of folders that hold camera files",
    "tracks": "simulation",
    "track_instance": "simulation",
    "track_visible": "simulation",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A clip, validated when it is made. Arrays are C-contiguous and must not be written to.

    Pixel centres lie at integer coordinates + 0.5: the pixel in column j and row i has its centre at (j + 0.5,
    i + 0.5), and the image spans [0, W] x [0, H]. Camera axes are OpenCV's: x right, y down, z forward. Lengths are
    metres. T = 1 + 4k, so that every backbone's temporal compression fits.

    | key | shape | dtype | meaning |
    |---|---|---|---|
    | rgb | T,H,W,3 | uint8 | sRGB |
    | depth | T,H,W | float32 | along the optical axis (z, not ray length), > 0; inf where nothing is hit |
    | depth_confidence | T,H,W | float32 | in [0, 1]; of estimated depth only |
    | motion | T-1,H,W,3 | float32 | of the surface point seen at pixel p of frame t: dx, dy in pixels (x right, y \
down); dz in metres = its depth in camera t+1 minus its depth in camera t; 0 where nothing is hit |
    | motion_valid | T-1,H,W | bool | that point is visible at t+1 (in frame, not occluded) |
    | motion_confidence | T-1,H,W | float32 | in [0, 1]; of estimated motion only |
    | segmentation | T,H,W | uint16 | instance id; 0 = static background |
    | intrinsics | 3,3 | float64 | [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels, pixel centres as above |
    | world_from_camera | T,4,4 | float64 | pose of the camera in each frame |
    | tracks | T,N,3 | float32 | world positions of material points on moving objects |
    | track_instance | N | uint16 | the instance each point belongs to |
    | track_visible | T,N | bool | the point is in frame and not occluded |

    Metadata: `clip_id` (unique within a data set, [A-Za-z0-9._-]), `prompt`, `category`, `scene`, `fps`, `seed` (of
    the simulation, else None), `source` (simulation | pseudo | import), `parameters` (JSON-able facts of how the
    clip was made). Every key but `clip_id`, `rgb`, `fps` and `source` is optional: see `require`.

    Raises:
        InvalidClipError: names the clip, the key and what is wrong with it.
    """

    clip_id: str
    rgb: NDArray[np.uint8]
    fps: float
    source: Source
    depth: NDArray[np.float32] | None = None
    depth_confidence: NDArray[np.float32] | None = None
    motion: NDArray[np.float32] | None = None
    motion_valid: NDArray[np.bool_] | None = None
    motion_confidence: NDArray[np.float32] | None = None
    segmentation: NDArray[np.uint16] | None = None
    intrinsics: NDArray[np.float64] | None = None
    world_from_camera: NDArray[np.float64] | None = None
    tracks: NDArray[np.float32] | None = None
    track_instance: NDArray[np.uint16] | None = None
    track_visible: NDArray[np.bool_] | None = None
    prompt: str = ""
    category: str = ""
    scene: str = ""
    seed: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate(self)

    @property
    def frames(self) -> int:
        """T, the number of frames."""
        return int(self.rgb.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return int(self.rgb.shape[1]), int(self.rgb.shape[2])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that are present, by key, in the order of the table above."""
        return {key: getattr(self, key) for key in ARRAY_SPEC if getattr(self, key) is not None}

    def metadata(self) -> dict[str, Any]:
        """Everything that is not an array, JSON-able."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ARRAY_SPEC}

    def require(self, *keys: str) -> None:
        """Raise MissingAnnotationError, naming the clip and who would add the key, unless all keys are present."""
        for key in keys:
            if key not in ARRAY_SPEC:
                raise KeyError(f"'{key}' is no array of a clip; they are {', '.join(ARRAY_SPEC)}")
            if getattr(self, key) is None:
                raise missing_annotation(self.clip_id, key)

    def with_(self, **changes: Any) -> "Clip":
        """A validated copy with some keys replaced."""
        return replace(self, **changes)

    def window(self, start: int, frames: int) -> "Clip":
        """Frames start .. start + frames - 1 as a clip of their own. Raises InvalidClipError outside the clip."""
        if start < 0 or start + frames > self.frames:
            raise InvalidClipError(
                f"clip '{self.clip_id}': window of {frames} frames from {start} exceeds its {self.frames} frames"
            )
        changes: dict[str, Any] = {}
        for key, array in self.arrays().items():
            leading = ARRAY_SPEC[key][0].split()[0]
            if leading == "T":
                changes[key] = np.ascontiguousarray(array[start : start + frames])
            elif leading == "T-1":
                changes[key] = np.ascontiguousarray(array[start : start + frames - 1])
        return replace(self, **changes)

    def content_hash(self) -> str:
        """SHA-256 over every array's bytes and the metadata; equal clips have equal hashes on every machine."""
        digest = hashlib.sha256()
        for key, array in self.arrays().items():
            digest.update(f"{key}:{array.dtype.str}:{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(json.dumps(self.metadata(), sort_keys=True).encode())
        return digest.hexdigest()


def missing_annotation(clip_id: str, key: str) -> MissingAnnotationError:
    """The error to raise where a clip lacks the array of a key; it names the pipeline that adds it."""
    producer = _PRODUCERS.get(key, "ingestion")
    return MissingAnnotationError(f"clip '{clip_id}' has no '{key}'; the pipeline that adds it: {producer}")


def check_length(frames: int, what: str) -> None:
    """Raise InvalidClipError unless frames = 1 + 4k; `what` names the offender in the message."""
    if frames < 1 or (frames - 1) % 4:
        lower = max(1, frames - (frames - 1) % 4)
        raise InvalidClipError(
            f"{what}: {frames} frames; a clip has 1 + 4k frames (1, 5, 9, 13, 17, ...); use {lower} or {lower + 4}"
        )


def validate(clip: Clip) -> None:
    """Check a clip against the schema (see `Clip`). Raises InvalidClipError naming clip, key and fault."""
    name = f"clip '{clip.clip_id}'"
    if not clip.clip_id or not all(c.isalnum() or c in "._-" for c in clip.clip_id) or not clip.clip_id.isascii():
        raise InvalidClipError(f"{name}: clip_id must be made of the characters A-Z a-z 0-9 . _ -")
    if clip.source not in ("simulation", "pseudo", "import"):
        raise InvalidClipError(f"{name}: source '{clip.source}' is none of simulation, pseudo, import")
    if not (np.isfinite(clip.fps) and clip.fps > 0):
        raise InvalidClipError(f"{name}: fps must be a positive number, not {clip.fps}")
    try:
        json.dumps(clip.parameters, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidClipError(f"{name}: parameters must be plain JSON values ({error})") from error
    if not isinstance(clip.rgb, np.ndarray) or clip.rgb.ndim != 4:
        raise InvalidClipError(f"{name}: rgb must be an array of shape (T, H, W, 3)")
    check_length(clip.frames, name)
    _check_arrays(clip, name)
    _check_values(clip, name)


def _check_arrays(clip: Clip, name: str) -> None:
    T, H, W = clip.rgb.shape[:3]
    sizes = {"T": T, "T-1": T - 1, "H": H, "W": W, "3": 3, "4": 4}
    if clip.track_instance is not None:
        sizes["N"] = len(clip.track_instance)
    for key, array in clip.arrays().items():
        for companion in COMPANIONS.get(key, ()):
            if getattr(clip, companion) is None:
                raise InvalidClipError(f"{name}: '{key}' needs '{companion}' beside it")
        letters, dtype = ARRAY_SPEC[key]
        expected = tuple(sizes[letter] for letter in letters.split())
        if array.shape != expected or array.dtype != np.dtype(dtype):
            raise InvalidClipError(
                f"{name}: '{key}' is {array.dtype} {array.shape}, expected {dtype} {expected} ({letters})"
            )


def _check_values(clip: Clip, name: str) -> None:
    if clip.depth is not None and not (clip.depth > 0).all():  # also false for NaN
        bad = ~(clip.depth > 0)
        raise InvalidClipError(
            f"{name}: depth is NaN or not positive at {int(bad.sum())} pixels, first at (t, row, column) = "
            f"{tuple(int(i) for i in np.argwhere(bad)[0])}; use inf where nothing is hit"
        )
    for key in ("motion", "intrinsics", "world_from_camera", "tracks"):
        array = getattr(clip, key)
        if array is not None and not np.isfinite(array).all():
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise InvalidClipError(f"{name}: '{key}' is not finite, first at index {first}")
    for key in ("depth_confidence", "motion_confidence"):
        array = getattr(clip, key)
        if array is not None and not ((array >= 0) & (array <= 1)).all():
            raise InvalidClipError(f"{name}: '{key}' must lie in [0, 1]")
    if clip.intrinsics is not None and (clip.intrinsics[0, 0] <= 0 or clip.intrinsics[1, 1] <= 0):
        raise InvalidClipError(f"{name}: focal lengths in intrinsics must be positive")
    if clip.world_from_camera is not None:
        rotation = clip.world_from_camera[:, :3, :3]
        if not np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-4):
            raise InvalidClipError(f"{name}: 'world_from_camera' holds a rotation that is not orthonormal")
        if not np.allclose(clip.world_from_camera[:, 3], [0, 0, 0, 1]):
            raise InvalidClipError(f"{name}: the last row of 'world_from_camera' must be 0 0 0 1")
