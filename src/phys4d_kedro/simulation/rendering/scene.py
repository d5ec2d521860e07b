"""What the renderer draws: bodies with their poses over time, volumes, a camera path, a sun and a sky.

World axes are MuJoCo's: metres, z up. Camera axes are OpenCV's: x right, y down, z forward. Colours are sRGB triples in
[0, 1], as a person would pick them; the renderer works in linear light. Letters of the shapes: T frames, B bodies.
Materials and shapes, each in a file of its own, are imported from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.rendering.materials import TEXTURE_KINDS, Colour, Material, TextureKind
from phys4d_kedro.simulation.rendering.solids import Box, Cylinder, Mesh, Plane, Sphere
from phys4d_kedro.simulation.rendering.surfaces import Surface
from phys4d_kedro.simulation.rendering.volumes import Volume

__all__ = [
    "TEXTURE_KINDS",
    "Body",
    "Box",
    "CameraPath",
    "Colour",
    "Cylinder",
    "Material",
    "Mesh",
    "Plane",
    "RenderScene",
    "Shape",
    "Sky",
    "Sphere",
    "Sun",
    "Surface",
    "TextureKind",
    "Volume",
    "check_rigid",
]

Shape = Plane | Sphere | Box | Cylinder | Mesh | Surface


@dataclass(frozen=True, kw_only=True)
class Body:
    """One rigid thing. `instance` is its id in the segmentation: 0 = static background (ground, walls); bodies of a
    compound object share an id."""

    shape: Shape
    material: Material = field(default_factory=Material)
    instance: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.instance <= 65535:
            raise ConfigurationError(f"body: instance {self.instance} must fit uint16")


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraPath:
    """Pinhole camera: `intrinsics` (3, 3) float64 in pixels, with pixel centres at integer + 0.5 and without skew;
    `world_from_camera` (T, 4, 4) float64, one rigid pose a frame."""

    intrinsics: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.intrinsics.shape != (3, 3) or self.intrinsics[0, 0] <= 0 or self.intrinsics[1, 1] <= 0:
            raise ConfigurationError("camera: intrinsics must be (3, 3) with positive focal lengths")
        if self.intrinsics[0, 1] != 0 or not np.array_equal(self.intrinsics[2], (0, 0, 1)):
            raise ConfigurationError("camera: intrinsics must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")
        check_rigid("camera: world_from_camera", self.world_from_camera)


@dataclass(frozen=True, kw_only=True)
class Sun:
    """The light that casts shadows, a disc at infinity.

    `direction` points from the scene towards the sun (world axes, any length, upwards): one for all frames, or one a
    frame for a lamp that moves. `angular_diameter` in degrees sets how soft shadows are (the real sun 0.53; a large
    studio lamp 5 to 10). `intensity` 1 lights a surface that faces it to just short of white, under the default sky.
    """

    direction: tuple[float, float, float] | Sequence[tuple[float, float, float]] = (0.5, -0.4, 0.9)
    colour: Colour = (1.0, 0.96, 0.88)
    intensity: float = 1.0
    angular_diameter: float = 4.0

    def __post_init__(self) -> None:
        if not (np.linalg.norm(self.direction, axis=-1) > 0).all():
            raise ConfigurationError(f"sun: direction {self.direction} must have a length")
        if not self.intensity >= 0:
            raise ConfigurationError(f"sun: intensity {self.intensity} must not be negative")
        if not 0 <= self.angular_diameter < 90:
            raise ConfigurationError(f"sun: angular_diameter {self.angular_diameter} must lie in [0, 90)")


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Light from everywhere else, and what is seen where no body is: a gradient from `horizon` to `zenith`.

    `ground` is the light that comes back from below. `intensity` scales the ambient light, not the picture of
    the sky. `panorama` (h, w, 3), linear radiance with the zenith in row 0 and azimuth 0 (the world's x) in column 0,
    takes the gradient's place: in the picture, in reflections, and as light, which `intensity` scales. `haze` in metres
    is the distance at which 63 % of what is seen has faded into the horizon (inf: none).
    """

    zenith: Colour = (0.42, 0.60, 0.86)
    horizon: Colour = (0.86, 0.90, 0.94)
    ground: Colour = (0.50, 0.46, 0.42)
    intensity: float = 1.0
    haze: float = 40.0
    panorama: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if not self.intensity >= 0 or not self.haze > 0:
            raise ConfigurationError(f"sky: intensity {self.intensity} and haze {self.haze} must be positive")
        if self.panorama is not None and (
            self.panorama.ndim != 3 or self.panorama.shape[2] != 3 or not np.isfinite(self.panorama).all()
        ):
            raise ConfigurationError(f"sky: panorama {self.panorama.shape} must be finite, of shape (h, w, 3)")


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderScene:
    """Everything the renderer needs. `poses` (T, B, 4, 4) float64 is world_from_body, rigid, in the order of
    `bodies`; T is that of the camera path. `volumes` should not overlap. For another view of the same simulation:
    dataclasses.replace(camera=...).

    Raises:
        ConfigurationError: numbers of frames or bodies disagree, or a pose is not rigid.
    """

    bodies: Sequence[Body]
    poses: NDArray[np.float64]
    camera: CameraPath
    sun: Sun = field(default_factory=Sun)
    sky: Sky = field(default_factory=Sky)
    volumes: Sequence[Volume] = ()

    def __post_init__(self) -> None:
        check_rigid("scene: poses", self.poses)
        expected = (len(self.camera.world_from_camera), len(self.bodies), 4, 4)
        if self.poses.shape != expected or not self.bodies:
            raise ConfigurationError(
                f"scene: poses {self.poses.shape} must be {expected}: frames, bodies (at least 1), 4, 4"
            )
        for body in self.bodies:
            if isinstance(body.shape, Surface) and len(body.shape.vertices) != self.frames:
                raise ConfigurationError(f"scene: a surface of {len(body.shape.vertices)} frames, not {self.frames}")
        for volume in self.volumes:
            if len(volume.density) != self.frames:
                raise ConfigurationError(f"scene: a volume of {len(volume.density)} frames, not {self.frames}")
        if np.ndim(self.sun.direction) == 2 and len(self.sun.direction) != self.frames:
            raise ConfigurationError(f"scene: {len(self.sun.direction)} directions of the sun, not {self.frames}")

    @property
    def frames(self) -> int:
        """T."""
        return len(self.poses)


def check_rigid(what: str, matrices: NDArray[np.float64]) -> None:
    """Raise ConfigurationError unless `matrices` (..., 4, 4) are finite rotations with translations."""
    if matrices.ndim < 3 or matrices.shape[-2:] != (4, 4) or not np.isfinite(matrices).all():
        raise ConfigurationError(f"{what} {matrices.shape} must be finite and end in (4, 4)")
    rotation = matrices[..., :3, :3]
    if not np.allclose(rotation @ rotation.swapaxes(-1, -2), np.eye(3), atol=1e-5) or not np.allclose(
        matrices[..., 3, :], (0, 0, 0, 1)
    ):
        raise ConfigurationError(f"{what}: every matrix must be a rotation and a translation, without scale")
