"""Kernels: the bodies near each tile; annotations of the pixels' centres; visibility of points (Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, PLR0917, SIM102

import warp as wp

from phys4d_kedro.simulation.rendering.lighting import REACH, Light
from phys4d_kedro.simulation.rendering.shapes import MESH, MISS, PLANE, Field, Hit, field_point, normal_of
from phys4d_kedro.simulation.rendering.tracing import (
    NEAREST,
    TILE,
    Band,
    Camera,
    World,
    in_frame,
    ray_through,
    sees,
    trace,
)

wp.set_module_options({"enable_backward": False})

# Of a tile that shows or has near it more than one plane, or the sky.
MIXED = wp.constant(-2)


@wp.struct
class Step:
    """Of a body, from the camera axes of frame t to those of frame t + 1."""

    rotation: wp.mat33
    translation: wp.vec3


@wp.func
def _is_pane(world: World, b: int) -> bool:
    """Whether light passes a body unbent: annotations look through it."""
    return world.looks[b].transmission > 0.0 and world.looks[b].refractive_index == 1.0


@wp.kernel
def list_bodies(first_frame: int, camera: Camera, world: World, panes: int, near: wp.array4d[wp.int16]):
    """The bodies, `panes` (1) included or not, whose bounding ball reaches into each tile of the image: their count,
    then themselves."""
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
    for b in range(world.solids.shape[1]):
        ball = world.balls[t, b]
        centre = wp.vec3(ball[0], ball[1], ball[2])
        depth = wp.min(
            wp.min(wp.dot(left, centre), wp.dot(right, centre)), wp.min(wp.dot(top, centre), wp.dot(bottom, centre))
        )
        if depth > -ball[3] and centre[2] > -ball[3] and (panes == 1 or not _is_pane(world, b)):
            count += 1
            near[k, i, j, count] = wp.int16(b)
    near[k, i, j, 0] = wp.int16(count)


@wp.kernel
def list_surroundings(
    band: Band,
    camera: Camera,
    world: World,
    lights: wp.array[Light],
    hits: wp.array3d[Hit],
    around: wp.array4d[wp.int16],
    backdrops: wp.array3d[wp.int16],
):
    """The bodies that may shade or crowd what a tile shows, or what shows a pixel beside it: count, then themselves.
    `backdrops`: the plane, or the sky (-1), if these pixels show that alone and nothing else is near; else MIXED."""
    k, i, j = wp.tid()
    t = band.frame + k
    top = band.row + i * TILE
    low = wp.vec3(1.0e30)
    high = wp.vec3(-1.0e30)
    backdrop = int(hits[k, i * TILE + 1, j * TILE].body)
    for row in range(wp.max(top - 1, 0), wp.min(top + TILE + 1, camera.height)):
        for column in range(wp.max(j * TILE - 1, 0), wp.min((j + 1) * TILE + 1, camera.width)):
            hit = hits[k, row - band.row + 1, column]
            if hit.body != backdrop:
                backdrop = MIXED
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
        for b in range(world.solids.shape[1]):
            ball = world.balls[t, b]
            towards = wp.vec3(ball[0], ball[1], ball[2]) - middle
            square = wp.dot(towards, towards)
            crowding = ball[3] + size + REACH
            along = wp.dot(towards, light.sun)
            reach = ball[3] + size + light.sun_spread * (wp.max(along, 0.0) + ball[3] + size)
            reaches = square < crowding * crowding or (along > -reach and square - along * along < reach * reach)
            # Glass and water let light through.
            if reaches and world.looks[b].transmission == 0.0:
                count += 1
                around[k, i, j, count] = wp.int16(b)
                # A plane neither shades nor crowds itself.
                if b != backdrop:
                    backdrop = MIXED
    around[k, i, j, 0] = wp.int16(count)
    if backdrop >= 0:
        if world.solids[t, backdrop].kind != PLANE:
            backdrop = MIXED
    backdrops[k, i, j] = wp.int16(backdrop)


@wp.struct
class Carried:
    """A material point at the next frame, in that frame's camera axes, and whether it is known to be on its surface."""

    point: wp.vec3
    known: wp.bool


@wp.func
def _carry(world: World, steps: wp.array2d[Step], t: int, hit: Hit, here: wp.vec3) -> Carried:
    """Where the point `here` of a body is at frame t + 1. On a surface that is found anew it is put on the one that is
    there, along its ray, if that is within the surface's slack."""
    carried = Carried()
    carried.known = True
    step = steps[t, hit.body]
    carried.point = step.rotation * here + step.translation
    solid = world.solids[t, hit.body]
    if solid.deforms == 1:
        skin = world.skins[t, hit.body]
        a = world.shifts[skin.shifts + wp.mesh_get_index(solid.mesh, 3 * hit.face)]
        b = world.shifts[skin.shifts + wp.mesh_get_index(solid.mesh, 3 * hit.face + 1)]
        c = world.shifts[skin.shifts + wp.mesh_get_index(solid.mesh, 3 * hit.face + 2)]
        place = world.places[t + 1, hit.body]
        shift = hit.u * a + hit.v * b + (1.0 - hit.u - hit.v) * c
        carried.point += wp.transpose(place.rotation) * shift
        if skin.slack >= 0.0:
            carried.known = False
            later = world.solids[t + 1, hit.body]
            if later.kind == MESH and carried.point[2] >= NEAREST:
                ray = carried.point / carried.point[2]
                query = wp.mesh_query_ray(later.mesh, place.translation, place.rotation * ray, MISS)
                if query.result and wp.abs(query.t - carried.point[2]) * wp.length(ray) <= skin.slack:
                    carried.known = True
                    carried.point = wp.vec3(query.t * ray[0], query.t * ray[1], query.t)
    return carried


@wp.func
def _normal_at(world: World, t: int, hit: Hit, d: wp.vec3) -> wp.vec3:
    """Unit normal of a hit towards the camera, in its axes."""
    place = world.places[t, hit.body]
    local = place.rotation * (hit.distance * d) + place.translation
    normal = wp.transpose(place.rotation) * normal_of(world.solids[t, hit.body], local, hit)
    if wp.dot(normal, d) > 0.0:
        normal = -normal
    return normal


@wp.kernel
def find_hits(
    band: Band,
    camera: Camera,
    world: World,
    near: wp.array4d[wp.int16],
    hits: wp.array3d[Hit],
    normals: wp.array3d[wp.vec3],
):
    """The hit of the ray through each pixel's centre, and its normal."""
    k, i, j = wp.tid()
    row = band.row + i - 1
    if row < 0 or row >= camera.height:
        return
    t = band.frame + k
    bodies = near[k, row // TILE, j * band.run // TILE]
    for column in range(j * band.run, wp.min((j + 1) * band.run, camera.width)):
        d = ray_through(camera, float(column) + 0.5, float(row) + 0.5)
        hit = trace(world, t, bodies, wp.vec3(0.0), d)
        hits[k, i, column] = hit
        if hit.body >= 0:
            normals[k, i, column] = _normal_at(world, t, hit, d)


@wp.kernel
def annotate(
    band: Band,
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
    k, i, j = wp.tid()
    row = band.row + i
    t = band.frame + k
    for column in range(j * band.run, wp.min((j + 1) * band.run, camera.width)):
        hit = hits[k, i + 1, column]
        if hit.body < 0:
            depth[t, row, column] = wp.inf
            continue
        depth[t, row, column] = hit.distance
        segmentation[t, row, column] = wp.uint16(world.looks[hit.body].instance)
        if t + 1 == depth.shape[0]:
            continue
        here = hit.distance * ray_through(camera, float(column) + 0.5, float(row) + 0.5)
        carried = _carry(world, steps, t, hit, here)
        there = carried.point
        if there[2] >= NEAREST:
            # The same rounding on both sides: what does not move has a motion of exactly zero.
            motion[t, row, column, 0] = camera.fx * (there[0] / there[2] - here[0] / here[2])
            motion[t, row, column, 1] = camera.fy * (there[1] / there[2] - here[1] / here[2])
            motion[t, row, column, 2] = there[2] - here[2]
        # Both sides of a sheet that bends are the same surface; of any other body only one is outside.
        turned = steps[t, hit.body].rotation * normals[k, i + 1, column]
        faces = world.solids[t, hit.body].deforms == 1 or wp.dot(turned, there) < 0.0
        if carried.known and faces and in_frame(camera, there):
            motion_valid[t, row, column] = sees(camera, world, near, k + 1, t + 1, there, hit.body)


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
