"""Frame sequences of Isaac Sim on disk, one file a frame and modality.

    <scene>/env_<e>/<i>/<j>/rgb/step_0000.png
                           /distance_to_camera/step_0000.npy   float32 (H, W), metres along the ray, inf for none
                           /motion_vectors/step_0000.npy       float32 (H, W, 4), see `IsaacFolder.motion`
                           /camera_params/step_0000.json       see replicator.read_camera
    metadata.csv                                               video, prompt

Only rgb is required. Depth needs the camera, motion needs depth.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import MediaError
from phys4d_kedro.ingestion.config import IsaacFolder
from phys4d_kedro.ingestion.framing import Framing
from phys4d_kedro.ingestion.prompts import prompt_of, read_prompts

RGB, DISTANCE, MOTION, CAMERA = "rgb", "distance_to_camera", "motion_vectors", "camera_params"
_SUFFIX = {RGB: ".png", DISTANCE: ".npy", MOTION: ".npy", CAMERA: ".json"}


@dataclass(frozen=True)
class FrameSequence:
    """One sequence: its folder, its steps (file stems, ascending), the modalities it has beside rgb."""

    folder: str
    steps: tuple[str, ...]
    modalities: tuple[str, ...]
    prompt: str
    config: IsaacFolder

    @property
    def label(self) -> str:
        """The folder, as the user names it."""
        return self.folder

    @property
    def settings(self) -> str:
        """What else decides the content of its clips."""
        return self.config.model_dump_json(exclude={"folder", "optional"})

    @property
    def place(self) -> PurePosixPath:
        """The folder, from the source's: <scene>/env_<e>/<i>/<j>."""
        return PurePosixPath(Path(self.folder).relative_to(self.config.folder))

    def file(self, modality: str, step: str) -> Path:
        """The file of a step in a modality."""
        return Path(self.folder) / modality / f"{step}{_SUFFIX[modality]}"


def find_sequences(source: IsaacFolder) -> list[FrameSequence]:
    """The sequences below a folder, sorted. Raises MediaError where there are none."""
    root = Path(source.folder)
    prompts = read_prompts(root)
    sequences = []
    for rgb in sorted(path for path in root.rglob(RGB) if path.is_dir() and path.parent != root):
        steps = tuple(sorted(file.stem for file in rgb.glob(f"step_*{_SUFFIX[RGB]}")))
        if steps:
            present = tuple(name for name in (DISTANCE, MOTION, CAMERA) if (rgb.parent / name).is_dir())
            prompt = prompt_of(prompts, PurePosixPath(rgb.parent.relative_to(root)))
            sequences.append(FrameSequence(str(rgb.parent), steps, present, prompt, source))
    if not sequences and not source.optional:
        raise MediaError(
            f"folder '{root}' holds no sequences (<scene>/.../rgb/step_0000.png); correct ingestion.sources, or mark "
            "the source optional"
        )
    return sequences


def check_sequence(sequence: FrameSequence, *, decode: bool) -> str:
    """Check that the files of a sequence fit together, and with `decode` every value in them too.

    Returns:
        SHA-256 of names, sizes and times of change of the files.

    Raises:
        MediaError: names each file that is missing, damaged, of another shape, or holds impossible values.
    """
    faults: list[str] = []

    def attempt(read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except MediaError as error:
            faults.append(str(error))
            return None

    if MOTION in sequence.modalities and DISTANCE not in sequence.modalities:
        faults.append(f"'{sequence.folder}' has {MOTION} but no {DISTANCE}, which the change of depth is taken from")
    size = attempt(_image_size, sequence.file(RGB, sequence.steps[0]))
    digest = hashlib.sha256()
    for step in sequence.steps:
        attempt(_read_image, sequence.file(RGB, step), size, decode)
        if DISTANCE in sequence.modalities or CAMERA in sequence.modalities:
            attempt(_read_camera, sequence, step, size or (1, 1))
        if size and DISTANCE in sequence.modalities:
            attempt(_read_distance, sequence.file(DISTANCE, step), size, decode)
        if size and MOTION in sequence.modalities:
            attempt(_read_motion, sequence.file(MOTION, step), size, decode)
        for file in (sequence.file(modality, step) for modality in (RGB, *sequence.modalities)):
            if file.exists():
                digest.update(json.dumps([str(file), file.stat().st_size, file.stat().st_mtime_ns]).encode())
    if faults:
        raise MediaError("\n".join(faults))
    return digest.hexdigest()


def read_window(sequence: FrameSequence, steps: Sequence[str], height: int, width: int) -> dict[str, NDArray[Any]]:
    """The arrays of a clip of these steps, resized to (height, width) with the aspect kept.

    Raises:
        MediaError: as `check_sequence`, or the camera's intrinsics change between the frames.
    """
    size = _image_size(sequence.file(RGB, steps[0]))
    framing = Framing(*size, height, width)
    images = [_read_image(sequence.file(RGB, step), size, True) for step in steps]
    arrays: dict[str, NDArray[Any]] = {"rgb": np.stack([framing.image(image) for image in images])}
    if DISTANCE not in sequence.modalities and CAMERA not in sequence.modalities:
        return arrays
    cameras = [_read_camera(sequence, step, size) for step in steps]
    for step, camera in zip(steps, cameras, strict=True):
        if not np.allclose(camera.intrinsics, cameras[0].intrinsics, rtol=1e-6):
            file = sequence.file(CAMERA, step)
            raise MediaError(f"'{file}': the camera zooms within the sequence; a clip has one intrinsics matrix")
    arrays["intrinsics"] = framing.intrinsics(cameras[0].intrinsics)
    arrays["world_from_camera"] = np.stack([camera.world_from_camera for camera in cameras])
    if DISTANCE in sequence.modalities:
        depths = [_depth(sequence.file(DISTANCE, step), size, cameras[0].intrinsics) for step in steps]
        arrays["depth"] = np.stack([framing.samples(depth) for depth in depths])
        if MOTION in sequence.modalities:
            arrays |= _motions(sequence, steps, depths, framing)
    return arrays


def _motions(
    sequence: FrameSequence, steps: Sequence[str], depths: list[NDArray[np.float32]], framing: Framing
) -> dict[str, NDArray[Any]]:
    from phys4d_kedro.ingestion.replicator import motion_from_backward

    size = (framing.source_height, framing.source_width)
    H, W = framing.height, framing.width
    motion, valid = np.zeros((len(steps) - 1, H, W, 3), np.float32), np.zeros((len(steps) - 1, H, W), bool)
    centres = np.stack(np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5), -1)
    for t in range(len(steps) - 1):
        if sequence.config.motion == "replicator":
            vectors = _read_motion(sequence.file(MOTION, steps[t + 1]), size, True)
            full, known = motion_from_backward(vectors, depths[t], depths[t + 1])
        else:
            vectors = _read_motion(sequence.file(MOTION, steps[t]), size, True)
            full, known = vectors[..., :3], (vectors[..., 3] > 0.5) & np.isfinite(depths[t])
        motion[t] = framing.samples(np.where(np.isfinite(depths[t])[..., None], full, np.float32(0)))
        motion[t, ..., :2] /= framing.step
        landing = centres + motion[t, ..., :2]
        valid[t] = framing.samples(known) & ((landing >= 0) & (landing <= [W, H])).all(-1)
    return {"motion": motion, "motion_valid": valid}


def _image_size(file: Path) -> tuple[int, int]:
    """(height, width) of an image, from its header."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return image.height, image.width
    except OSError as error:
        raise MediaError(f"image '{file}' cannot be read ({error})") from error


def _read_image(file: Path, size: tuple[int, int] | None, decode: bool) -> NDArray[np.uint8]:
    """An RGB image of this size; without `decode` only the header is read and the pixels are zero."""
    from PIL import Image

    found = _image_size(file)
    if size is not None and found != size:
        raise MediaError(f"image '{file}' is {found[1]}x{found[0]}, the first of its sequence {size[1]}x{size[0]}")
    if not decode:
        return np.zeros((*found, 3), np.uint8)
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise MediaError(f"image '{file}' is damaged or cut off ({error})") from error


def _read_camera(sequence: FrameSequence, step: str, size: tuple[int, int]) -> Any:
    from phys4d_kedro.ingestion.replicator import read_camera

    return read_camera(sequence.file(CAMERA, step), *size)


def _read_distance(file: Path, size: tuple[int, int], decode: bool) -> NDArray[np.float32]:
    distance = _read_array(file, size, decode)
    if decode and not (distance > 0).all():
        wrong = int((~(distance > 0)).sum())
        nan = int(np.isnan(distance).sum())
        raise MediaError(
            f"'{file}': {wrong} distances are not positive, {nan} of them NaN; use inf where nothing is hit"
        )
    return distance


def _read_motion(file: Path, size: tuple[int, int], decode: bool) -> NDArray[np.float32]:
    vectors = _read_array(file, (*size, 4), decode)
    if decode and not np.isfinite(vectors).all():
        raise MediaError(f"'{file}': {int((~np.isfinite(vectors)).sum())} motion values are not finite")
    return vectors


def _read_array(file: Path, shape: tuple[int, ...], decode: bool) -> NDArray[np.float32]:
    """A float array of this shape from an npy file; without `decode` mapped, so that only its header is read."""
    try:
        array = np.load(file, mmap_mode=None if decode else "r", allow_pickle=False)
    except FileNotFoundError as error:
        raise MediaError(f"'{file}' is missing: every step of rgb needs its file in each folder beside it") from error
    except (OSError, ValueError, EOFError) as error:
        raise MediaError(f"'{file}' is damaged or no npy file ({error})") from error
    if array.shape != shape or not np.issubdtype(array.dtype, np.floating):
        raise MediaError(f"'{file}' is {array.dtype} {array.shape}, expected float32 {shape}")
    return array.astype(np.float32, copy=False)


def _depth(file: Path, size: tuple[int, int], intrinsics: NDArray[np.float64]) -> NDArray[np.float32]:
    import torch

    from phys4d_kedro.geometry.camera import ray_length_to_depth

    distance = torch.from_numpy(_read_distance(file, size, True))
    return ray_length_to_depth(distance, torch.from_numpy(intrinsics)).numpy()
