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
from phys4d_kedro.world_model.config import GenerationConfig


@dataclass(frozen=True)
class Request:
    """A clip to be generated.

    `first_frame` (H, W, 3) uint8 is not shown to a text-to-video model. Intrinsics (3, 3) and world_from_camera
    (T, 4, 4) are those that the clip is to be lifted with; a model of RGB does not see them. `seed` decides the noise,
    `sample` says which of several samples of one event it is. `scene`, `category` and `reference`, the id of the true
    clip, say where the request comes from.
    """

    clip_id: str
    prompt: str
    first_frame: NDArray[np.uint8]
    intrinsics: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]
    fps: float
    seed: int
    sample: int = 0
    scene: str = ""
    category: str = ""
    reference: str = ""

    @property
    def frames(self) -> int:
        """T."""
        return len(self.world_from_camera)

    def identity(self) -> str:
        """Hash of all that decides the clip."""
        digest = hashlib.sha256()
        for array in (self.first_frame, self.intrinsics, self.world_from_camera):
            digest.update(str(array.shape).encode() + array.tobytes())
        rest = (self.clip_id, self.prompt, self.fps, self.seed, self.sample, self.scene, self.category, self.reference)
        digest.update(repr(rest).encode())
        return digest.hexdigest()


def request_like(clip: Clip, sample: int) -> Request:
    """A request for what happens in a clip, from its first frame and prompt; noise is the clip's and sample's own."""
    clip.require("intrinsics", "world_from_camera")
    assert clip.intrinsics is not None
    assert clip.world_from_camera is not None
    return Request(
        clip_id=f"{clip.clip_id}.sample{sample}",
        prompt=clip.prompt,
        first_frame=clip.rgb[0],
        intrinsics=clip.intrinsics,
        world_from_camera=clip.world_from_camera,
        fps=clip.fps,
        seed=_seed(clip.clip_id, sample),
        sample=sample,
        scene=clip.scene,
        category=clip.category,
        reference=clip.clip_id,
    )


def requests_like(clips: Iterable[Clip], samples: Sequence[int]) -> list[Request]:
    """Requests for several samples of every clip."""
    return [request_like(clip, sample) for clip in clips for sample in samples]


def read_images(config: GenerationConfig, samples: Sequence[int]) -> list[Request]:
    """Requests from the config's image files, cropped and scaled to its size; the camera stands still at the origin.

    Raises:
        ConfigurationError: an image is missing or cannot be read; names the file.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    made = []
    for request in config.requests:
        path = Path(request.image)
        try:
            with Image.open(path) as image:
                fitted = ImageOps.fit(image.convert("RGB"), (config.width, config.height), Image.Resampling.LANCZOS)
        except (OSError, UnidentifiedImageError) as error:
            raise ConfigurationError(
                f"generation.requests: the image {path} is missing or cannot be read ({error}); give an image file"
            ) from error
        for sample in samples:
            made.append(
                Request(
                    clip_id=f"{path.stem}.sample{sample}",
                    prompt=request.prompt,
                    first_frame=np.asarray(fitted),
                    intrinsics=intrinsics_from_fov(request.field_of_view, config.height, config.width),
                    world_from_camera=np.tile(np.eye(4), (config.frames, 1, 1)),
                    fps=config.fps,
                    seed=_seed(path.stem, sample),
                    sample=sample,
                )
            )
    return made


def _seed(name: str, sample: int) -> int:
    """The seed of one clip's noise."""
    return int(np.random.default_rng([sample, zlib.crc32(name.encode())]).integers(2**31))
