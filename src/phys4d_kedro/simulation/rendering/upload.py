"""A scene as the kernels want it: arrays of structures on the device, in the axes of each frame's camera."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering import kernels
from phys4d_kedro.simulation.rendering.lighting import Light
from phys4d_kedro.simulation.rendering.scene import (
    TEXTURE_KINDS,
    Box,
    Colour,
    Cylinder,
    Material,
    Mesh,
    Plane,
    RenderScene,
    Shape,
    Sphere,
)
from phys4d_kedro.simulation.rendering.shapes import BOX, CYLINDER, MESH, PLANE, SPHERE, Field, Solid
from phys4d_kedro.simulation.rendering.tracing import Camera, Placement, World

# Radiance of a white surface that faces the sun, and of one under the open sky, at intensity 1.
_SUN_RADIANCE = 1.3
_AMBIENT_RADIANCE = 0.42
# The tone curve is tabled up to this radiance.
_BRIGHTEST = 4.0
_TONE_STEPS = 4096
# Grid of distances to a mesh: points along its longest side, and room around it in metres.
_FIELD_POINTS = 16
_FIELD_ROOM = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Uploaded:
    """`camera`, `world`, `steps` (T-1, B) and `lights` (T,) of the kernels, and what must live as long as they."""

    camera: Any
    world: Any
    steps: Any
    lights: Any
    meshes: list[wp.Mesh]


def upload(scene: RenderScene, height: int, width: int) -> Uploaded:
    """Put a scene on the current device."""
    solids = _structures(Solid, len(scene.bodies))
    body_from_shape = np.tile(np.eye(4), (len(scene.bodies), 1, 1))
    meshes = {}
    for b, body in enumerate(scene.bodies):
        if isinstance(body.shape, Mesh):
            body_from_shape[b, :3, 3] = _middle(body.shape)
            if id(body.shape) not in meshes:
                meshes[id(body.shape)] = _upload_mesh(body.shape)
            solids[b]["mesh"] = meshes[id(body.shape)].id
        _describe_shape(solids[b : b + 1], body.shape)
        _describe_material(solids[b : b + 1], body.material)
        solids[b]["instance"] = body.instance
    camera_from_shape = _inverse(scene.camera.world_from_camera)[:, None] @ scene.poses @ body_from_shape
    world = World()
    world.fields = _upload_fields(solids)
    world.solids = wp.array(solids, dtype=Solid)
    world.places = wp.array(_rigid(_inverse(camera_from_shape), Placement), dtype=Placement)
    world.balls = wp.array(_balls(solids, camera_from_shape), dtype=wp.vec4)
    # Worked out in float64, so that a step is exactly the identity where neither body nor camera moves.
    steps = camera_from_shape[1:] @ _inverse(camera_from_shape[:-1])
    return Uploaded(
        camera=_camera(scene, height, width),
        world=world,
        steps=wp.array(_rigid(steps, kernels.Step), dtype=kernels.Step),
        lights=wp.array(_lights(scene), dtype=Light),
        meshes=list(meshes.values()),
    )


def sampling_tables(samples: int) -> list[Any]:
    """Rays to the sun (place in the pixel, -0.5 .. 0.5; place on the unit disc), `samples` spots of a pixel, tone
    curve: the tables of the kernel `colour`, in its order."""
    k = np.arange(kernels.SUN_RAYS)
    # A sunflower from the rim inwards: a shadow's edge that crosses the disc divides the first few rays already.
    radius, angle = np.sqrt(1 - (k + 0.5) / kernels.SUN_RAYS), np.pi * (3 - np.sqrt(5)) * k
    disc = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    rays = np.concatenate((_sequence(kernels.SUN_RAYS) - 0.5, disc), axis=1)
    return [
        wp.array(rays, dtype=wp.vec4),
        wp.array(_sequence(samples), dtype=wp.vec2),
        wp.array(_tone_curve(), dtype=wp.uint8),
    ]


def _camera(scene: RenderScene, height: int, width: int) -> Any:
    camera = Camera()
    K = scene.camera.intrinsics
    camera.fx, camera.fy, camera.cx, camera.cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    camera.height, camera.width = height, width
    return camera


def _describe_shape(solid: NDArray[Any], shape: Shape) -> None:
    solid["convex"] = 1
    match shape:
        case Plane():
            solid["kind"], solid["size"] = PLANE, (*shape.half_size, 0)
        case Sphere():
            solid["kind"], solid["size"] = SPHERE, shape.radius
        case Box():
            solid["kind"], solid["size"] = BOX, shape.half_extents
        case Cylinder():
            solid["kind"], solid["size"] = CYLINDER, (shape.radius, shape.radius, shape.half_height)
        case Mesh():
            # A little room keeps a flat mesh inside the box around it.
            solid["kind"], solid["size"] = MESH, np.ptp(shape.vertices, axis=0) / 2 + 1e-5
            solid["smooth"] = shape.normals is not None
            solid["convex"] = _is_convex(shape)


def _describe_material(solid: NDArray[Any], material: Material) -> None:
    solid["texture"] = TEXTURE_KINDS.index(material.texture)
    solid["frequency"] = 1 / material.scale
    solid["colour"] = _linear(material.colour)
    solid["second_colour"] = _linear(material.second_colour)
    solid["roughness"] = material.roughness
    solid["specular"] = material.specular


def _upload_mesh(mesh: Mesh) -> wp.Mesh:
    return wp.Mesh(
        points=wp.array(mesh.vertices - _middle(mesh), dtype=wp.vec3),
        indices=wp.array(mesh.faces.reshape(-1), dtype=int),
        # Warp interpolates a mesh's "velocities" over a triangle: here they are its vertex normals.
        velocities=None if mesh.normals is None else wp.array(mesh.normals, dtype=wp.vec3),
    )


def _middle(mesh: Mesh) -> NDArray[np.float32]:
    return (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2


def _is_convex(mesh: Mesh) -> bool:
    """Whether no vertex lies before the plane of any face. Most concave meshes fail within the first faces."""
    tolerance = 1e-4 * np.ptp(mesh.vertices)
    for start in range(0, len(mesh.faces), 64):
        a, b, c = mesh.vertices[mesh.faces[start : start + 64]].swapaxes(0, 1)
        normal = np.cross(b - a, c - a)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        if (mesh.vertices @ normal.T - (a * normal).sum(axis=1)).max() > tolerance:
            return False
    return True


def _upload_fields(solids: NDArray[Any]) -> Any:
    """Fill in where each mesh's grid of distances lies in one table, and make the table."""
    size = 0
    for mesh in np.unique(solids["mesh"][solids["kind"] == MESH]):
        same = np.flatnonzero(solids["mesh"] == mesh)
        extent = 2 * solids["size"][same[0]].astype(float) + 2 * _FIELD_ROOM
        spacing = extent.max() / (_FIELD_POINTS - 1)
        count = np.ceil(extent / spacing).astype(int) + 1
        for b in same:
            solids["field"][b] = (size, count, spacing)
        size += int(count.prod())
    table = wp.empty(size, dtype=float)
    for mesh, first in zip(*np.unique(solids["mesh"], return_index=True), strict=True):
        if mesh:
            field: Any = Field()
            start, count, field.spacing = solids["field"][first]
            field.start, field.count = int(start), wp.vec3i(count)
            wp.launch(kernels.measure_field, tuple(count.tolist()), inputs=[wp.uint64(mesh), field], outputs=[table])
    return table


def _balls(solids: NDArray[Any], camera_from_shape: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bounding balls (T, B, 4): centre, radius; a little wide, for rounding."""
    radii = np.linalg.norm(solids["size"], axis=1)
    round_ = solids["kind"] == SPHERE
    radii[round_] = solids["size"][round_, 0]
    balls = np.empty((*camera_from_shape.shape[:2], 4), dtype=np.float32)
    balls[..., :3] = camera_from_shape[..., :3, 3]
    balls[..., 3] = 1.001 * radii + 1e-4
    return balls


def _lights(scene: RenderScene) -> NDArray[Any]:
    """Light (T,): sun and sky in the axes of each frame's camera."""
    sun, sky = scene.sun, scene.sky
    towards = np.asarray(sun.direction) / np.linalg.norm(sun.direction)
    side = np.cross(towards, np.eye(3)[np.argmin(np.abs(towards))])
    side /= np.linalg.norm(side)
    spread = np.tan(np.radians(sun.angular_diameter) / 2)
    rotation = scene.camera.world_from_camera[:, :3, :3]
    lights = _structures(Light, scene.frames)
    lights["up"] = np.array((0.0, 0.0, 1.0)) @ rotation
    lights["sun"] = towards @ rotation
    lights["sun_x"] = spread * side @ rotation
    lights["sun_y"] = spread * np.cross(towards, side) @ rotation
    lights["sun_spread"] = spread
    lights["sun_colour"] = _SUN_RADIANCE * sun.intensity * _linear(sun.colour)
    lights["zenith"], lights["horizon"], lights["ground"] = map(_linear, (sky.zenith, sky.horizon, sky.ground))
    lights["ambient"] = _AMBIENT_RADIANCE * sky.intensity
    lights["haze"] = 1 / sky.haze
    return lights


def _linear(colour: Colour) -> NDArray[np.float64]:
    """Linear light of an sRGB colour (IEC 61966-2-1)."""
    c = np.asarray(colour, dtype=float)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _tone_curve() -> NDArray[np.uint8]:
    """sRGB bytes of linear radiance, over its square root: as it is up to 0.6, then softly up to 1."""
    radiance = _BRIGHTEST * np.linspace(0, 1, _TONE_STEPS) ** 2
    knee = 0.6
    mapped = np.where(radiance < knee, radiance, 1 - (1 - knee) * np.exp(-(radiance - knee) / (1 - knee)))
    srgb = np.where(mapped <= 0.0031308, 12.92 * mapped, 1.055 * mapped ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8)


def _sequence(count: int) -> NDArray[np.float64]:
    """Evenly spread points (count, 2) in the unit square: the additive recurrence of the plastic number."""
    plastic = 1.32471795724474602596
    return (0.5 + np.arange(count)[:, None] * plastic ** -np.array((1.0, 2.0))) % 1


def _structures(struct: Any, *shape: int) -> NDArray[Any]:
    """A zeroed array of a Warp structure."""
    return np.zeros(shape, dtype=struct.numpy_dtype())


def _rigid(matrices: NDArray[np.float64], struct: Any) -> NDArray[Any]:
    """Rigid transforms (..., 4, 4) as structures of rotation and translation (...)."""
    out = _structures(struct, *matrices.shape[:-2])
    out["rotation"] = matrices[..., :3, :3]
    out["translation"] = matrices[..., :3, 3]
    return out


def _inverse(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of rigid transforms (..., 4, 4)."""
    inverse = np.zeros_like(matrices)
    inverse[..., :3, :3] = matrices[..., :3, :3].swapaxes(-1, -2)
    inverse[..., :3, 3] = -np.einsum("...ji,...j->...i", matrices[..., :3, :3], matrices[..., :3, 3])
    inverse[..., 3, 3] = 1
    return inverse
