"""The kernel that colours pixels, in two variants (Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, PLR0917, SIM102

from typing import Any

import warp as wp

from phys4d_kedro.simulation.rendering.air import Air
from phys4d_kedro.simulation.rendering.lighting import Light
from phys4d_kedro.simulation.rendering.paths import follow
from phys4d_kedro.simulation.rendering.shading import pixel_key, shade
from phys4d_kedro.simulation.rendering.shapes import Hit, normal_of
from phys4d_kedro.simulation.rendering.tracing import TILE, Camera, World, ray_through, trace

# Rays to the sun from a pixel; on an edge they are shared out among the surfaces.
SUN_RAYS = wp.constant(16)
MOST_SAMPLES = wp.constant(32)
Faces = wp.types.vector(length=MOST_SAMPLES, dtype=wp.int32)


@wp.func
def _differs(
    hits: wp.array3d[Hit],
    normals: wp.array3d[wp.vec3],
    k: int,
    row: int,
    column: int,
    other_row: int,
    other_column: int,
) -> bool:
    """Whether two pixels show different bodies, or faces of one body that meet at an angle."""
    if other_row < 0 or other_column < 0 or other_row >= hits.shape[1] or other_column >= hits.shape[2]:
        return False
    body = hits[k, row, column].body
    if hits[k, other_row, other_column].body != body:
        return True
    return body >= 0 and wp.dot(normals[k, row, column], normals[k, other_row, other_column]) < 0.95


@wp.func
def _face_code(world: World, t: int, hit: Hit, d: wp.vec3) -> int:
    """The same number for hits on one body with about the same normal: on one side of an edge."""
    if hit.body < 0:
        return -1
    place = world.places[t, hit.body]
    n = normal_of(world.solids[t, hit.body], place.rotation * (hit.distance * d) + place.translation, hit)
    return ((hit.body * 8 + int(4.0 + 3.9 * n[0])) * 8 + int(4.0 + 3.9 * n[1])) * 8 + int(4.0 + 3.9 * n[2])


@wp.func
def _share_of_face(faces: Faces, i: int, samples: int) -> float:
    """Share of the samples that hit the face of sample i, told to the first of them only: 0 for the others."""
    same = float(0.0)
    for j in range(samples):
        if faces[j] == faces[i]:
            if j < i:
                return 0.0
            same += 1.0
    return same / float(samples)


@wp.func
def _sends_on(world: World, hit: Hit) -> bool:
    """Whether what is seen there is mirrored, or behind glass: with edges of its own."""
    if hit.body < 0:
        return False
    return world.looks[hit.body].mirror == 1 or world.looks[hit.body].transmission > 0.0


def _make(look: Any, optical: bool, module: str) -> Any:
    """The kernel that sees what `look` sees, in a module of its own: a scene compiles only the one it needs."""

    @wp.kernel(name="colour", module=module, enable_backward=False)
    def colour(
        first_frame: int,
        camera: Camera,
        world: World,
        air: Air,
        near: wp.array4d[wp.int16],
        around: wp.array4d[wp.int16],
        lights: wp.array[Light],
        samples: int,
        seed: wp.uint32,
        rays: wp.array[wp.vec4],
        spots: wp.array[wp.vec2],
        tone: wp.array[wp.uint8],
        hits: wp.array3d[Hit],
        normals: wp.array3d[wp.vec3],
        rgb: wp.array4d[wp.uint8],
    ):
        """Tone-mapped sRGB. A pixel whose neighbours show the same surface is shaded once, with textures and shadows
        filtered over its footprint; a pixel on an edge, or of a mirror or glass, is shaded at `samples` spots of its
        square."""
        k, row, column = wp.tid()
        t = first_frame + k
        edge = bool(False)
        if samples > 1:
            edge = (
                _differs(hits, normals, k, row, column, row - 1, column)
                or _differs(hits, normals, k, row, column, row + 1, column)
                or _differs(hits, normals, k, row, column, row, column - 1)
                or _differs(hits, normals, k, row, column, row, column + 1)
            )
            if wp.static(optical):
                edge = edge or _sends_on(world, hits[k, row, column])
        light = lights[t]
        key = pixel_key(seed, row, column)
        bodies = near[k, row // TILE, column // TILE]
        company = around[k, row // TILE, column // TILE]
        x = float(column)
        y = float(row)
        pixel = wp.vec2(1.0 / camera.fx, 1.0 / camera.fy)
        total = wp.vec3(0.0)
        faces = Faces()
        parts = int(1)
        if edge:
            parts = samples
            for i in range(samples):
                d = ray_through(camera, x + spots[i][0], y + spots[i][1])
                hit = trace(world, t, bodies, wp.vec3(0.0), d)
                faces[i] = _face_code(world, t, hit, d)
                if wp.static(optical):
                    if _sends_on(world, hit):
                        faces[i] = -2 - i
        # One call of `shade` serves both kinds of pixel: called once it is compiled in place, which is faster.
        for i in range(parts):
            share = float(1.0)
            if edge:
                share = _share_of_face(faces, i, samples)
            if share > 0.0:
                d = ray_through(camera, x + 0.5, y + 0.5)
                hit = hits[k, row, column]
                if edge:
                    d = ray_through(camera, x + spots[i][0], y + spots[i][1])
                    hit = trace(world, t, bodies, wp.vec3(0.0), d)
                count = int(wp.ceil(share * float(SUN_RAYS)))
                seen = look(world, air, rays, t, company, light, hit, d, wp.sqrt(share) * pixel, count, key)
                # A highlight brighter than white must not outweigh the other surfaces of the pixel.
                total += share * wp.min(seen, wp.vec3(2.0))
        last = float(tone.shape[0] - 1)
        for channel in range(3):
            level = wp.sqrt(wp.clamp(0.25 * total[channel], 0.0, 1.0)) * last
            rgb[t, row, column, channel] = tone[int(level + 0.5)]

    return colour


colour_surfaces = _make(shade, False, "phys4d_kedro.colour_surfaces")
colour_paths = _make(follow, True, "phys4d_kedro.colour_paths")
