"""The renderer's kernels: annotations of the pixel's centre, then its colour; visibility of points (Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, PLR0917

import warp as wp

from phys4d_kedro.simulation.rendering.lighting import REACH, Light, pixel_key, shade
from phys4d_kedro.simulation.rendering.shapes import Field, Hit, field_point, normal_of
from phys4d_kedro.simulation.rendering.tracing import NEAREST, TILE, Camera, World, in_frame, ray_through, sees, trace

wp.set_module_options({"enable_backward": False})

# Rays to the sun from a pixel; on an edge they are shared out among the surfaces.
SUN_RAYS = wp.constant(16)
MOST_SAMPLES = wp.constant(32)
Faces = wp.types.vector(length=MOST_SAMPLES, dtype=wp.int32)


@wp.struct
class Step:
    """Of a body, from the camera axes of frame t to those of frame t + 1."""

    rotation: wp.mat33
    translation: wp.vec3


@wp.kernel
def list_bodies(first_frame: int, camera: Camera, world: World, near: wp.array4d[wp.int16]):
    """The bodies whose bounding ball reaches into each tile of the image: their count, then themselves."""
    k, i, j = wp.tid()
    t = first_frame + k
    # Tangents of the tile's sides, half a pixel wider than the tile.
    low = ray_through(camera, float(j * TILE) - 0.5, float(i * TILE) - 0.5)
    high = ray_through(camera, float((j + 1) * TILE) + 0.5, float((i + 1) * TILE) + 0.5)
    left = wp.normalize(wp.vec3(1.0, 0.0, -low[0]))
    right = wp.normalize(wp.vec3(-1.0, 0.0, high[0]))
    top = wp.normalize(wp.vec3(0.0, 1.0, -low[1]))
    bottom = wp.normalize(wp.vec3(0.0, -1.0, high[1]))
    count = int(0)
    for b in range(world.solids.shape[0]):
        ball = world.balls[t, b]
        centre = wp.vec3(ball[0], ball[1], ball[2])
        depth = wp.min(
            wp.min(wp.dot(left, centre), wp.dot(right, centre)), wp.min(wp.dot(top, centre), wp.dot(bottom, centre))
        )
        if depth > -ball[3] and centre[2] > -ball[3]:
            count += 1
            near[k, i, j, count] = wp.int16(b)
    near[k, i, j, 0] = wp.int16(count)


@wp.kernel
def list_surroundings(
    first_frame: int,
    camera: Camera,
    world: World,
    lights: wp.array[Light],
    hits: wp.array3d[Hit],
    around: wp.array4d[wp.int16],
):
    """The bodies that may shade or crowd what a tile shows, or what shows a pixel beside it: count, then themselves."""
    k, i, j = wp.tid()
    t = first_frame + k
    low = wp.vec3(1.0e30)
    high = wp.vec3(-1.0e30)
    for row in range(wp.max(i * TILE - 1, 0), wp.min((i + 1) * TILE + 1, camera.height)):
        for column in range(wp.max(j * TILE - 1, 0), wp.min((j + 1) * TILE + 1, camera.width)):
            hit = hits[k, row, column]
            if hit.body >= 0:
                point = hit.distance * ray_through(camera, float(column) + 0.5, float(row) + 0.5)
                low = wp.min(low, point)
                high = wp.max(high, point)
    count = int(0)
    if low[0] <= high[0]:
        light = lights[t]
        middle = 0.5 * (low + high)
        # Room for the footprints of the pixels and for the share of a pixel that sees past its neighbours.
        size = 0.6 * wp.length(high - low)
        for b in range(world.solids.shape[0]):
            ball = world.balls[t, b]
            towards = wp.vec3(ball[0], ball[1], ball[2]) - middle
            square = wp.dot(towards, towards)
            crowding = ball[3] + size + REACH
            along = wp.dot(towards, light.sun)
            reach = ball[3] + size + light.sun_spread * (wp.max(along, 0.0) + ball[3] + size)
            if square < crowding * crowding or (along > -reach and square - along * along < reach * reach):
                count += 1
                around[k, i, j, count] = wp.int16(b)
    around[k, i, j, 0] = wp.int16(count)


@wp.kernel
def annotate(
    first_frame: int,
    camera: Camera,
    world: World,
    near: wp.array4d[wp.int16],
    steps: wp.array2d[Step],
    hits: wp.array3d[Hit],
    normals: wp.array3d[wp.vec3],
    depth: wp.array3d[float],
    segmentation: wp.array3d[wp.uint16],
    motion: wp.array4d[float],
    motion_valid: wp.array3d[wp.bool],
):
    """Everything but colour, from the hit of the ray through the pixel's centre. The hit's material point is carried by
    its body to frame t + 1 and seen from the camera there."""
    k, row, column = wp.tid()
    t = first_frame + k
    d = ray_through(camera, float(column) + 0.5, float(row) + 0.5)
    hit = trace(world, t, near[k, row // TILE, column // TILE], d)
    hits[k, row, column] = hit
    if hit.body < 0:
        depth[t, row, column] = wp.inf
        return
    depth[t, row, column] = hit.distance
    solid = world.solids[hit.body]
    segmentation[t, row, column] = wp.uint16(solid.instance)
    place = world.places[t, hit.body]
    normal = wp.transpose(place.rotation) * normal_of(
        solid, place.rotation * (hit.distance * d) + place.translation, hit
    )
    if wp.dot(normal, d) > 0.0:
        normal = -normal
    normals[k, row, column] = normal
    if t + 1 < depth.shape[0]:
        step = steps[t, hit.body]
        here = hit.distance * d
        there = step.rotation * here + step.translation
        if there[2] >= NEAREST:
            # The same rounding on both sides: what does not move has a motion of exactly zero.
            motion[t, row, column, 0] = camera.fx * (there[0] / there[2] - here[0] / here[2])
            motion[t, row, column, 1] = camera.fy * (there[1] / there[2] - here[1] / here[2])
            motion[t, row, column, 2] = there[2] - here[2]
        if in_frame(camera, there) and wp.dot(step.rotation * normal, there) < 0.0:
            motion_valid[t, row, column] = sees(camera, world, near, k + 1, t + 1, there, hit.body)


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
    n = normal_of(world.solids[hit.body], place.rotation * (hit.distance * d) + place.translation, hit)
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


@wp.kernel
def colour(
    first_frame: int,
    camera: Camera,
    world: World,
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
    filtered over its footprint; a pixel on an edge is shaded at `samples` spots of its square."""
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
            faces[i] = _face_code(world, t, trace(world, t, bodies, d), d)
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
                hit = trace(world, t, bodies, d)
            count = int(wp.ceil(share * float(SUN_RAYS)))
            seen = shade(world, rays, t, company, light, hit, d, wp.sqrt(share) * pixel, count, key)
            # A highlight brighter than white must not outweigh the other surfaces of the pixel.
            total += share * wp.min(seen, wp.vec3(2.0))
    last = float(tone.shape[0] - 1)
    for channel in range(3):
        level = wp.sqrt(wp.clamp(0.25 * total[channel], 0.0, 1.0)) * last
        rgb[t, row, column, channel] = tone[int(level + 0.5)]


@wp.kernel
def see_points(
    camera: Camera,
    world: World,
    near: wp.array4d[wp.int16],
    points: wp.array2d[wp.vec3],
    visible: wp.array2d[wp.bool],
):
    """Whether points given in the axes of each frame's camera are in frame and not occluded."""
    t, n = wp.tid()
    point = points[t, n]
    if in_frame(camera, point):
        visible[t, n] = sees(camera, world, near, t, t, point, -1)


@wp.kernel
def measure_field(mesh: wp.uint64, field: Field, table: wp.array[float]):
    """Distance from every point of a mesh's grid to its surface."""
    i, j, k = wp.tid()
    p = field_point(field, i, j, k)
    query = wp.mesh_query_point_no_sign(mesh, p, 100.0)
    nearest = wp.mesh_eval_position(mesh, query.face, query.u, query.v)
    table[field.start + (i * field.count[1] + j) * field.count[2] + k] = wp.length(nearest - p)
