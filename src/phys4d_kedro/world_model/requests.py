"""What is asked of generation: a prompt, a first frame, and the camera to lift the result with."""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.geometry.camera import intrinsics_from_fov
from phys4d_kedro.world_model.config import ImageRequest


@dataclass(frozen=True)
class Request:
    """A clip to be generated.

    `first_frame` (H, W, 3) uint8 is not shown to a text-to-video model. Intrinsics (3, 3) and world_from_camera
    (T, 4, 4) are those that the clip is to be lifted with; a model of RGB does not see them. `scene`, `category` and
    `reference`, the id of the true clip, say where the request comes from.
    """

    clip_id: str
    prompt: str
    first_frame: NDArray[np.uint8]
    intrinsics: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]
    seed: int
    scene: str = ""
    category: str = ""
    reference: str = ""

    def identity(self) -> str:
        """Hash of all that decides the clip."""
        digest = hashlib.sha256()
        for array in (self.first_frame, self.intrinsics, self.world_from_camera):
            digest.update(str(array.shape).encode() + array.tobytes())
        digest.update(repr((self.clip_id, self.prompt, self.seed, self.scene, self.category, self.reference)).encode())
        return digest.hexdigest()


def request_like(clip: Clip, seed: int) -> Request:
    """A request for what happens in a clip, from its first frame and prompt; noise is the clip's and seed's own."""
    clip.require("intrinsics", "world_from_camera")
    return Request(
        clip_id=f"{clip.clip_id}.seed{seed}",
        prompt=clip.prompt,
        first_frame=clip.rgb[0],
        intrinsics=clip.intrinsics,
        world_from_camera=clip.world_from_camera,
        seed=_seed(clip.clip_id, seed),
        scene=clip.scene,
        category=clip.category,
        reference=clip.clip_id,
    )


def read_images(
    requests: Sequence[ImageRequest], *, frames: int, height: int, width: int, seeds: Iterable[int]
) -> list[Request]:
    """Requests from image files, cropped and scaled to the size; the camera stands still at the origin.

    Raises:
        ConfigurationError: an image is missing or cannot be read; names the file.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    made = []
    for request in requests:
        path = Path(request.image)
        try:
            with Image.open(path) as image:
                fitted = ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
        except (OSError, UnidentifiedImageError) as error:
            raise ConfigurationError(
                f"generation.requests: the image {path} is missing or cannot be read ({error}); give an image file"
            ) from error
        for seed in seeds:
            made.append(
                Request(
                    clip_id=f"{path.stem}.seed{seed}",
                    prompt=request.prompt,
                    first_frame=np.asarray(fitted),
                    intrinsics=intrinsics_from_fov(request.field_of_view, height, width),
                    world_from_camera=np.tile(np.eye(4), (frames, 1, 1)),
                    seed=_seed(path.stem, seed),
                )
            )
    return made


def _seed(name: str, seed: int) -> int:
    """The seed of one clip's noise."""
    return int(np.random.default_rng([seed, zlib.crc32(name.encode())]).integers(2**31))
