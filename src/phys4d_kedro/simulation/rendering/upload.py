"""A scene as the kernels want it: arrays of structures on the device, in the axes of each frame's camera."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering import kernels
from phys4d_kedro.simulation.rendering.materials import TEXTURE_KINDS, Material
from phys4d_kedro.simulation.rendering.scene import RenderScene
from phys4d_kedro.simulation.rendering.shapes import SPHERE, Look, Skin, Solid
from phys4d_kedro.simulation.rendering.structures import inverse, rigid, structures
from phys4d_kedro.simulation.rendering.surfaces import Surface
from phys4d_kedro.simulation.rendering.tracing import Camera, Placement, World
from phys4d_kedro.simulation.rendering.upload_air import upload_air
from phys4d_kedro.simulation.rendering.upload_lights import linear, upload_lights
from phys4d_kedro.simulation.rendering.upload_shapes import Shapes

# Where a surface without triangles is put, behind the camera.
_NOWHERE = (0.0, 0.0, -1e9)


@dataclass(frozen=True, kw_only=True, eq=False)
class Uploaded:
    """`camera`, `world`, `air`, `steps` (T-1, B) and `lights` (T,) of the kernels, and what must live as long as they.
    `optical`: light goes on from some surfaces, or comes from a panorama, or passes smoke. `panes`: some bend no
    light."""

    camera: Any
    world: Any
    air: Any
    steps: Any
    lights: Any
    meshes: list[wp.Mesh]
    optical: bool
    panes: bool


def upload(scene: RenderScene, height: int, width: int) -> Uploaded:
    """Put a scene on the current device."""
    T, B = scene.frames, len(scene.bodies)
    solids = structures(Solid, T, B)
    skins = structures(Skin, T, B)
    looks = structures(Look, B)
    shapes = Shapes()
    body_from_shape = np.tile(np.eye(4), (T, B, 1, 1))
    for b, body in enumerate(scene.bodies):
        body_from_shape[:, b, :3, 3] = shapes.describe(solids[:, b], skins[:, b], body.shape)
        _describe_material(looks[b : b + 1], body.material)
        looks[b]["instance"] = body.instance
    camera_from_body = inverse(scene.camera.world_from_camera)[:, None] @ scene.poses
    camera_from_shape = camera_from_body @ body_from_shape
    camera_from_shape[_is_empty(solids), :3, 3] = _NOWHERE
    world = World()
    shapes.finish(world, solids)
    world.solids = wp.array(solids, dtype=Solid)
    world.skins = wp.array(skins, dtype=Skin)
    world.looks = wp.array(looks, dtype=Look)
    world.places = wp.array(rigid(inverse(camera_from_shape), Placement), dtype=Placement)
    world.balls = wp.array(_balls(solids, camera_from_shape), dtype=wp.vec4)
    world.everything, world.opaque = _list_bodies(np.ones(B, bool)), _list_bodies(looks["transmission"] == 0)
    # A surface moves in the axes of its body, whatever the middle of its vertices does.
    deforms = [isinstance(body.shape, Surface) for body in scene.bodies]
    carriers = np.where(np.array(deforms)[:, None, None], camera_from_body, camera_from_shape)
    # Worked out in float64, so that a step is exactly the identity where neither body nor camera moves.
    steps = carriers[1:] @ inverse(carriers[:-1])
    sends_on = (looks["mirror"] == 1) | (looks["transmission"] > 0)
    return Uploaded(
        camera=_camera(scene, height, width),
        world=world,
        air=upload_air(scene),
        steps=wp.array(rigid(steps, kernels.Step), dtype=kernels.Step),
        lights=upload_lights(scene),
        meshes=shapes.meshes,
        panes=any(body.material.is_pane for body in scene.bodies),
        optical=bool(sends_on.any()) or bool(scene.volumes) or scene.sky.panorama is not None,
    )


def _is_empty(solids: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a surface has no triangles: it is declared a point then."""
    return (solids["kind"] == SPHERE) & (solids["size"][..., 0] == 0)


def _list_bodies(chosen: NDArray[np.bool_]) -> Any:
    """Count of the chosen bodies, then themselves."""
    bodies = np.flatnonzero(chosen)
    return wp.array(np.concatenate(([len(bodies)], bodies)).astype(np.int16), dtype=wp.int16)


def _camera(scene: RenderScene, height: int, width: int) -> Any:
    camera = Camera()
    K = scene.camera.intrinsics
    camera.fx, camera.fy, camera.cx, camera.cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    camera.height, camera.width = height, width
    return camera


def _describe_material(look: NDArray[Any], material: Material) -> None:
    look["texture"] = TEXTURE_KINDS.index(material.texture)
    look["frequency"] = 1 / material.scale
    look["colour"] = linear(material.colour)
    look["second_colour"] = linear(material.second_colour)
    look["roughness"] = material.roughness
    look["specular"] = material.specular
    look["mirror"] = material.mirror
    look["transmission"] = material.transmission
    look["refractive_index"] = material.refractive_index
    look["clarity"] = material.clarity


def _balls(solids: NDArray[Any], camera_from_shape: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bounding balls (T, B, 4): centre, radius; a little wide, for rounding."""
    radii = np.linalg.norm(solids["size"], axis=-1)
    round_ = solids["kind"] == SPHERE
    radii[round_] = solids["size"][round_, 0]
    balls = np.empty((*solids.shape, 4), dtype=np.float32)
    balls[..., :3] = camera_from_shape[..., :3, 3]
    balls[..., 3] = 1.001 * radii + 1e-4
    return balls
