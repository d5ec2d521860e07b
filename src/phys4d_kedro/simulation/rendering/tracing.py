"""Rays through the whole scene (Warp).

Everything happens in the axes of the camera of one frame, so a ray through a pixel starts at the origin and, with
direction (x, y, 1), its parameter is the depth. Each body brings the transform from the camera to its own shape.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: PLR0917

import warp as wp

from phys4d_kedro.simulation.rendering.shapes import MESH, MISS, Hit, Look, Skin, Solid, hit_convex, hits, may_hit

# Bodies are listed for square tiles of the image of this many pixels.
TILE = wp.constant(8)
# Points nearer to the camera than this, in metres of depth, have no image.
NEAREST = wp.constant(1.0e-3)
# Points this share of their distance before a mesh count as on it: float32 keeps about seven digits.
ON_SURFACE = wp.constant(1.0e-4)


@wp.struct
class Camera:
    """Pinhole in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float
    height: wp.int32
    width: wp.int32


@wp.struct
class Band:
    """What a launch renders: rows of some frames, from `frame` and `row` (a multiple of TILE) on. A task takes `run`
    pixels of a row, 1 or TILE. Arrays of hits and normals (frames, rows + 2, width) have a row more above and below."""

    frame: wp.int32
    row: wp.int32
    run: wp.int32


@wp.struct
class Placement:
    """A body in a frame: shape_from_camera."""

    rotation: wp.mat33
    translation: wp.vec3


@wp.struct
class World:
    """The bodies on the device. T frames, B bodies; `balls` are the bounding balls (centre in camera axes, radius).

    Of the vertices of all meshes that deform: how far each moves to the next frame and where it takes its texture from
    (both in the body's axes), and how much of the second colour it has. `everything` lists all bodies, `opaque` those
    that cast shadows: count, bodies."""

    solids: wp.array2d[Solid]
    skins: wp.array2d[Skin]
    looks: wp.array[Look]
    balls: wp.array2d[wp.vec4]
    places: wp.array2d[Placement]
    fields: wp.array[float]
    shifts: wp.array[wp.vec3]
    rests: wp.array[wp.vec3]
    shades: wp.array[float]
    everything: wp.array[wp.int16]
    opaque: wp.array[wp.int16]


@wp.func
def _passes(ball: wp.vec4, d: wp.vec3, dd: float) -> bool:
    """Whether a ray from the camera meets a bounding ball."""
    centre = wp.vec3(ball[0], ball[1], ball[2])
    along = wp.dot(centre, d)
    outside = wp.dot(centre, centre) - ball[3] * ball[3]
    return outside <= 0.0 or (along > 0.0 and along * along >= dd * outside)


@wp.func
def trace(world: World, t: int, near: wp.array[wp.int16], o: wp.vec3, d: wp.vec3) -> Hit:
    """First hit of the ray from o along d in frame t, among the bodies listed in `near`: count, bodies."""
    hit = Hit()
    hit.body = -1
    hit.distance = MISS
    dd = wp.dot(d, d)
    for i in range(int(near[0])):
        b = int(near[i + 1])
        ball = world.balls[t, b]
        if _passes(wp.vec4(ball[0] - o[0], ball[1] - o[1], ball[2] - o[2], ball[3]), d, dd):
            solid = world.solids[t, b]
            place = world.places[t, b]
            origin = place.rotation * o + place.translation
            direction = place.rotation * d
            if solid.kind == MESH:
                if not may_hit(solid, origin, direction, 0.0):
                    continue
                query = wp.mesh_query_ray(solid.mesh, origin, direction, hit.distance)
                if query.result:
                    hit.body = b
                    hit.distance = query.t
                    hit.face = query.face
                    hit.u = query.u
                    hit.v = query.v
            else:
                distance = hit_convex(solid, origin, direction)
                if distance < hit.distance:
                    hit.body = b
                    hit.distance = distance
    return hit


@wp.func
def _hides(world: World, t: int, b: int, point: wp.vec3, own: int) -> bool:
    """Whether body b lies between the camera of frame t and `point` (camera axes). `own` is the body the point is on
    and faces the camera with (-1: unknown): a convex body cannot hide it then."""
    if not _passes(world.balls[t, b], point, wp.dot(point, point)):
        return False
    solid = world.solids[t, b]
    if b == own and solid.convex == 1:
        return False
    place = world.places[t, b]
    return hits(solid, place.translation, place.rotation * point, 1.0 - ON_SURFACE)


@wp.func
def ray_through(camera: Camera, x: float, y: float) -> wp.vec3:
    return wp.vec3((x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, 1.0)


@wp.func
def in_frame(camera: Camera, point: wp.vec3) -> bool:
    if point[2] < NEAREST:
        return False
    x = camera.fx * point[0] / point[2] + camera.cx
    y = camera.fy * point[1] / point[2] + camera.cy
    return x >= 0.0 and y >= 0.0 and x <= float(camera.width) and y <= float(camera.height)


@wp.func
def sees(camera: Camera, world: World, near: wp.array4d[wp.int16], k: int, t: int, point: wp.vec3, own: int) -> bool:
    """Whether nothing lies between the camera of frame t and a point in its view."""
    column = wp.min(int(camera.fx * point[0] / point[2] + camera.cx), camera.width - 1)
    row = wp.min(int(camera.fy * point[1] / point[2] + camera.cy), camera.height - 1)
    bodies = near[k, row // TILE, column // TILE]
    for i in range(int(bodies[0])):  # noqa: SIM110
        if _hides(world, t, int(bodies[i + 1]), point, own):
            return False
    return True
