"""Stretches of frames that are on the device together: surfaces that deform take their space frame by frame."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from phys4d_kedro.simulation.rendering.scene import RenderScene
from phys4d_kedro.simulation.rendering.surfaces import Surface
from phys4d_kedro.simulation.rendering.volumes import Volume

# Triangles at once; one takes about 150 bytes, which bounds them to a third of a gigabyte. Cells count for their bytes.
_TRIANGLES_AT_ONCE = 1 << 21
_CELLS_PER_TRIANGLE = 8


def stretches(scene: RenderScene) -> Iterator[tuple[int, int]]:
    """First frames and ends of stretches that cover all frames in order."""
    start, total = 0, 0
    for t in range(scene.frames):
        more = sum(len(body.shape.faces[t]) for body in scene.bodies if isinstance(body.shape, Surface))
        more += sum(volume.density[t].size for volume in scene.volumes) // _CELLS_PER_TRIANGLE
        if t > start and total + more > _TRIANGLES_AT_ONCE:
            yield start, t
            start, total = t, 0
        total += more
    yield start, scene.frames


def part(scene: RenderScene, start: int, stop: int) -> RenderScene:
    """Frames `start` .. `stop` - 1 of a scene."""
    if (start, stop) == (0, scene.frames):
        return scene
    sun = scene.sun
    if np.ndim(sun.direction) == 2:
        sun = replace(sun, direction=[(x, y, z) for x, y, z in np.asarray(sun.direction)[start:stop].tolist()])
    return replace(
        scene,
        bodies=[
            replace(body, shape=_part_of_surface(body.shape, start, stop)) if isinstance(body.shape, Surface) else body
            for body in scene.bodies
        ],
        poses=scene.poses[start:stop],
        camera=replace(scene.camera, world_from_camera=scene.camera.world_from_camera[start:stop]),
        sun=sun,
        volumes=[_part_of_volume(volume, start, stop) for volume in scene.volumes],
    )


def _part_of_surface(surface: Surface, start: int, stop: int) -> Surface:
    return replace(
        surface,
        vertices=surface.vertices[start:stop],
        faces=surface.faces[start:stop],
        moved=None if surface.moved is None else surface.moved[start : stop - 1],
        rest=surface.painted_at,
        shades=None if surface.shades is None else surface.shades[start:stop],
    )


def _part_of_volume(volume: Volume, start: int, stop: int) -> Volume:
    return replace(
        volume,
        density=volume.density[start:stop],
        velocity=volume.velocity[start:stop],
        glow=None if volume.glow is None else volume.glow[start:stop],
    )
