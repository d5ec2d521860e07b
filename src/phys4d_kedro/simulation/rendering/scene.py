"""What the renderer draws: bodies with their poses over time, a camera path, a sun and a sky.

World axes are MuJoCo's: metres, z up. Camera axes are OpenCV's: x right, y down, z forward. Colours are sRGB triples in
[0, 1], as a person would pick them; the renderer works in linear light. Letters of the shapes: T frames, B bodies, V
vertices, F triangles.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError

Colour = tuple[float, float, float]
TextureKind = Literal["plain", "checker", "stripes", "dots", "noise", "wood", "marble"]

TEXTURE_KINDS: tuple[TextureKind, ...] = ("plain", "checker", "stripes", "dots", "noise", "wood", "marble")


@dataclass(frozen=True, kw_only=True)
class Material:
    """How a surface looks. The texture is solid (three-dimensional) in the body's frame, so it moves with the body.

    `colour` and `second_colour` are what the texture mixes; `plain` uses `colour` alone. `scale` is the period of the
    texture in metres (a checker has two squares a period). `roughness` runs from 0 (sharp highlight) to 1 (matte);
    `specular` is the mirror reflectance at normal incidence (plastic and stone 0.04, polished metal 0.5 and more).
    """

    colour: Colour = (0.75, 0.75, 0.75)
    second_colour: Colour = (0.25, 0.25, 0.25)
    texture: TextureKind = "plain"
    scale: float = 0.2
    roughness: float = 0.5
    specular: float = 0.04

    def __post_init__(self) -> None:
        for name, colour in (("colour", self.colour), ("second_colour", self.second_colour)):
            if len(colour) != 3 or not all(0 <= channel <= 1 for channel in colour):
                raise ConfigurationError(f"material: {name} {colour} must be three sRGB values in [0, 1]")
        if self.texture not in TEXTURE_KINDS:
            raise ConfigurationError(f"material: texture '{self.texture}' is none of {', '.join(TEXTURE_KINDS)}")
        if not self.scale > 0:
            raise ConfigurationError(f"material: scale {self.scale} must be a positive length in metres")
        for name, share in (("roughness", self.roughness), ("specular", self.specular)):
            if not 0 <= share <= 1:
                raise ConfigurationError(f"material: {name} {share} must lie in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Rectangle |x| <= half_size[0], |y| <= half_size[1] at z = 0 of the body frame; seen from both sides."""

    half_size: tuple[float, float] = (20.0, 20.0)

    def __post_init__(self) -> None:
        _check_lengths("plane", half_size=self.half_size)


@dataclass(frozen=True, kw_only=True)
class Sphere:
    """Exact sphere around the body's origin."""

    radius: float

    def __post_init__(self) -> None:
        _check_lengths("sphere", radius=(self.radius,))


@dataclass(frozen=True, kw_only=True)
class Box:
    """Exact box around the body's origin, edges along the body's axes; the same sizes as MuJoCo's."""

    half_extents: tuple[float, float, float]

    def __post_init__(self) -> None:
        _check_lengths("box", half_extents=self.half_extents)


@dataclass(frozen=True, kw_only=True)
class Cylinder:
    """Exact capped cylinder around the body's origin, axis along the body's z; the same sizes as MuJoCo's."""

    radius: float
    half_height: float

    def __post_init__(self) -> None:
        _check_lengths("cylinder", radius=(self.radius,), half_height=(self.half_height,))


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """Triangles in the body frame, for every shape that is not one of the above (basket, ramp, cone, torus).

    `vertices` (V, 3) float32, metres; `faces` (F, 3) int32, counter-clockwise seen from outside. With `normals` (V, 3),
    the unit vertex normals, the surface is shaded smoothly; without, each triangle is flat. Bodies that share one Mesh
    object share its acceleration structure.

    Raises:
        ConfigurationError: shapes, indices or values are wrong.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3 or not np.isfinite(self.vertices).all():
            raise ConfigurationError(f"mesh: vertices {self.vertices.shape} must be finite, of shape (V, 3)")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or len(self.faces) == 0:
            raise ConfigurationError(f"mesh: faces {self.faces.shape} must be of shape (F, 3), at least one")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise ConfigurationError(f"mesh: faces index outside the {len(self.vertices)} vertices")
        if self.normals is not None and self.normals.shape != self.vertices.shape:
            raise ConfigurationError(f"mesh: normals {self.normals.shape} must have the shape of vertices")


Shape = Plane | Sphere | Box | Cylinder | Mesh


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

    `direction` points from the scene towards the sun (world axes, any length, upwards). `angular_diameter` in degrees
    sets how soft shadows are (the real sun 0.53; a large studio lamp 5 to 10). `intensity` 1 lights a surface that
    faces it to just short of white, under the default sky.
    """

    direction: tuple[float, float, float] = (0.5, -0.4, 0.9)
    colour: Colour = (1.0, 0.96, 0.88)
    intensity: float = 1.0
    angular_diameter: float = 4.0

    def __post_init__(self) -> None:
        if not np.linalg.norm(self.direction) > 0:
            raise ConfigurationError(f"sun: direction {self.direction} must have a length")
        if not self.intensity >= 0:
            raise ConfigurationError(f"sun: intensity {self.intensity} must not be negative")
        if not 0 <= self.angular_diameter < 90:
            raise ConfigurationError(f"sun: angular_diameter {self.angular_diameter} must lie in [0, 90)")


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Light from everywhere else, and what is seen where no body is: a gradient from `horizon` to `zenith`.

    `ground` is the light that comes back from below. `intensity` scales the ambient light, not the picture of
    the sky. `haze` in metres is the distance at which 63 % of what is seen has faded into the horizon (inf: none).
    """

    zenith: Colour = (0.42, 0.60, 0.86)
    horizon: Colour = (0.86, 0.90, 0.94)
    ground: Colour = (0.50, 0.46, 0.42)
    intensity: float = 1.0
    haze: float = 40.0

    def __post_init__(self) -> None:
        if not self.intensity >= 0 or not self.haze > 0:
            raise ConfigurationError(f"sky: intensity {self.intensity} and haze {self.haze} must be positive")


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderScene:
    """Everything the renderer needs. `poses` (T, B, 4, 4) float64 is world_from_body, rigid, in the order of
    `bodies`; T is that of the camera path. For another view of the same simulation: dataclasses.replace(camera=...).

    Raises:
        ConfigurationError: numbers of frames or bodies disagree, or a pose is not rigid.
    """

    bodies: Sequence[Body]
    poses: NDArray[np.float64]
    camera: CameraPath
    sun: Sun = field(default_factory=Sun)
    sky: Sky = field(default_factory=Sky)

    def __post_init__(self) -> None:
        check_rigid("scene: poses", self.poses)
        expected = (len(self.camera.world_from_camera), len(self.bodies), 4, 4)
        if self.poses.shape != expected or not self.bodies:
            raise ConfigurationError(
                f"scene: poses {self.poses.shape} must be {expected}: frames, bodies (at least 1), 4, 4"
            )

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


def _check_lengths(what: str, **lengths: Sequence[float]) -> None:
    for name, values in lengths.items():
        if not all(np.isfinite(value) and value > 0 for value in values):
            raise ConfigurationError(f"{what}: {name} {tuple(values)} must be positive lengths in metres")
