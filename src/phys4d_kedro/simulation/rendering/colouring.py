"""The kernels that colour pixels (Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, PLR0917, PLR0912, SIM102

from typing import Any

import warp as wp

from phys4d_kedro.simulation.rendering.air import Air
from phys4d_kedro.simulation.rendering.kernels import MIXED
from phys4d_kedro.simulation.rendering.lighting import Light, sky
from phys4d_kedro.simulation.rendering.paths import follow
from phys4d_kedro.simulation.rendering.shading import pixel_key, shade, shade_backdrop
from phys4d_kedro.simulation.rendering.shapes import Hit, normal_of
from phys4d_kedro.simulation.rendering.tracing import TILE, Band, Camera, World, ray_through, trace

# Rays to the sun from a pixel; on an edge they are shared out among the surfaces.
SUN_RAYS = wp.constant(16)
MOST_SAMPLES = wp.constant(32)
Faces = wp.types.vector(length=MOST_SAMPLES, dtype=wp.int32)


@wp.func
def _differs(
    hits: wp.array3d[Hit], normals: wp.array3d[wp.vec3], k: int, i: int, column: int, other_i: int, other_column: int
) -> bool:
    """Whether two pixels show different bodies, or faces of one body that meet at an angle."""
    body = hits[k, i, column].body
    if hits[k, other_i, other_column].body != body:
        return True
    return body >= 0 and wp.dot(normals[k, i, column], normals[k, other_i, other_column]) < 0.95


@wp.func
def _is_edge(
    hits: wp.array3d[Hit], normals: wp.array3d[wp.vec3], camera: Camera, k: int, row: int, i: int, column: int
) -> bool:
    """Whether one of the four pixels beside a pixel shows something else; `i` is its row among the hits."""
    if row > 0 and _differs(hits, normals, k, i, column, i - 1, column):
        return True
    if row + 1 < camera.height and _differs(hits, normals, k, i, column, i + 1, column):
        return True
    if column > 0 and _differs(hits, normals, k, i, column, i, column - 1):
        return True
    return column + 1 < camera.width and _differs(hits, normals, k, i, column, i, column + 1)


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


@wp.func
def _store(rgb: wp.array4d[wp.uint8], tone: wp.array[wp.uint8], t: int, row: int, column: int, radiance: wp.vec3):
    """Write the sRGB of a pixel."""
    last = float(tone.shape[0] - 1)
    for channel in range(3):
        level = wp.sqrt(wp.clamp(0.25 * radiance[channel], 0.0, 1.0)) * last
        rgb[t, row, column, channel] = tone[int(level + 0.5)]


def _make(look: Any, optical: bool, module: str) -> Any:
    """The kernel that sees what `look` sees, in a module of its own: a scene compiles only the one it needs."""

    @wp.kernel(name="colour", module=module, enable_backward=False)
    def colour(
        band: Band,
        camera: Camera,
        world: World,
        air: Air,
        near: wp.array4d[wp.int16],
        around: wp.array4d[wp.int16],
        backdrops: wp.array3d[wp.int16],
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
        k, i, j = wp.tid()
        t = band.frame + k
        row = band.row + i
        tile = j * band.run // TILE
        if not wp.static(optical):
            if int(backdrops[k, i // TILE, tile]) != MIXED:
                return
        light = lights[t]
        bodies = near[k, row // TILE, tile]
        company = around[k, i // TILE, tile]
        y = float(row)
        pixel = wp.vec2(1.0 / camera.fx, 1.0 / camera.fy)
        for column in range(j * band.run, wp.min((j + 1) * band.run, camera.width)):
            edge = bool(False)
            if samples > 1:
                edge = _is_edge(hits, normals, camera, k, row, i + 1, column)
                if wp.static(optical):
                    edge = edge or _sends_on(world, hits[k, i + 1, column])
            key = pixel_key(seed, row, column)
            x = float(column)
            total = wp.vec3(0.0)
            faces = Faces()
            parts = int(1)
            if edge:
                parts = samples
                for s in range(samples):
                    d = ray_through(camera, x + spots[s][0], y + spots[s][1])
                    hit = trace(world, t, bodies, wp.vec3(0.0), d)
                    faces[s] = _face_code(world, t, hit, d)
                    if wp.static(optical):
                        if _sends_on(world, hit):
                            faces[s] = -2 - s
            # One call of `shade` serves both kinds of pixel: called once it is compiled in place, which is faster.
            for s in range(parts):
                share = float(1.0)
                if edge:
                    share = _share_of_face(faces, s, samples)
                if share > 0.0:
                    d = ray_through(camera, x + 0.5, y + 0.5)
                    hit = hits[k, i + 1, column]
                    if edge:
                        d = ray_through(camera, x + spots[s][0], y + spots[s][1])
                        hit = trace(world, t, bodies, wp.vec3(0.0), d)
                    count = int(wp.ceil(share * float(SUN_RAYS)))
                    seen = look(world, air, rays, t, company, light, hit, d, wp.sqrt(share) * pixel, count, key)
                    # A highlight brighter than white must not outweigh the other surfaces of the pixel.
                    total += share * wp.min(seen, wp.vec3(2.0))
            _store(rgb, tone, t, row, column, total)

    return colour


colour_surfaces = _make(shade, False, "phys4d_kedro.colour_surfaces")
colour_paths = _make(follow, True, "phys4d_kedro.colour_paths")


@wp.kernel(module="phys4d_kedro.colour_surfaces", enable_backward=False)
def colour_backdrops(
    band: Band,
    camera: Camera,
    world: World,
    backdrops: wp.array3d[wp.int16],
    lights: wp.array[Light],
    tone: wp.array[wp.uint8],
    hits: wp.array3d[Hit],
    rgb: wp.array4d[wp.uint8],
):
    """What `colour_surfaces` leaves out: tiles that show a plane with nothing near it, or the sky. They are most of an
    image, and a kernel of their own, which has little to keep at hand, takes them in a third of the time."""
    k, i, j = wp.tid()
    t = band.frame + k
    row = band.row + i
    b = int(backdrops[k, i // TILE, j * band.run // TILE])
    if b == MIXED:
        return
    light = lights[t]
    pixel = wp.vec2(1.0 / camera.fx, 1.0 / camera.fy)
    if b < 0:
        for column in range(j * band.run, wp.min((j + 1) * band.run, camera.width)):
            d = ray_through(camera, float(column) + 0.5, float(row) + 0.5)
            _store(rgb, tone, t, row, column, wp.min(sky(light, d / wp.length(d)), wp.vec3(2.0)))
        return
    look = world.looks[b]
    place = world.places[t, b]
    for column in range(j * band.run, wp.min((j + 1) * band.run, camera.width)):
        d = ray_through(camera, float(column) + 0.5, float(row) + 0.5)
        seen = shade_backdrop(look, place, light, hits[k, i + 1, column].distance, d, pixel)
        _store(rgb, tone, t, row, column, wp.min(seen, wp.vec3(2.0)))
