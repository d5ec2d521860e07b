"""Where particles and grid nodes meet rigid bodies: how deep a point is in a shape, and what contact does to a velocity
(Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: PLR0917

import warp as wp

wp.set_module_options({"enable_backward": False})

SPHERE = wp.constant(0)
BOX = wp.constant(1)
CYLINDER = wp.constant(2)

FAR = wp.constant(1.0e6)


@wp.struct
class Solid:
    """One part of a body: its shape, half its extent along its axes; bit 2 k (2 k + 1) of `hidden` says that its face
    towards -k (+k) lies against another part, so that nothing leaves through it. Nodes `reach` metres before its
    surface already feel it. `temperature` K, 0: none."""

    kind: wp.int32
    size: wp.vec3
    hidden: wp.int32
    body: wp.int32
    reach: float
    friction: float
    temperature: float


@wp.struct
class Placement:
    """Where a part is (world from part) and how its body moves: the body's origin, linear and angular velocity."""

    rotation: wp.mat33
    position: wp.vec3
    origin: wp.vec3
    linear: wp.vec3
    angular: wp.vec3


@wp.struct
class Bodies:
    """All parts and where they are: `moving` lists those that may move, `items[starts[n] .. starts[n + 1]]` those near
    grid node n that never do."""

    solids: wp.array[Solid]
    places: wp.array[Placement]
    moving: wp.array[wp.int32]
    starts: wp.array[wp.int32]
    items: wp.array[wp.int32]


@wp.func
def candidates(bodies: Bodies, n: int) -> int:
    """How many parts a point nearest to node n may touch."""
    return bodies.starts[n + 1] - bodies.starts[n] + bodies.moving.shape[0]


@wp.func
def candidate(bodies: Bodies, n: int, c: int) -> int:
    """The c-th of them."""
    first = bodies.starts[n]
    listed = bodies.starts[n + 1] - first
    if c < listed:
        return bodies.items[first + c]
    return bodies.moving[c - listed]


@wp.func
def behind_wall(distance: float, spacing: float) -> float:
    """How much of a node's spline lies behind a flat wall, `distance` metres away (negative: around the node)."""
    x = wp.clamp(distance / spacing, -1.5, 1.5)
    if x > 0.5:
        return (1.5 - x) * (1.5 - x) * (1.5 - x) / 6.0
    if x < -0.5:
        return 1.0 - (1.5 + x) * (1.5 + x) * (1.5 + x) / 6.0
    return 0.5 - 0.75 * x + x * x * x / 3.0


@wp.func
def beyond_faces(solid: Solid, p: wp.vec3) -> wp.vec3:
    """How far outside its faces across x, y and z a point in the frame of a part is: metres, negative inside. A sphere
    has one face, the side of a cylinder counts as its face across x."""
    if solid.kind == BOX:
        return wp.vec3(wp.abs(p[0]), wp.abs(p[1]), wp.abs(p[2])) - solid.size
    if solid.kind == CYLINDER:
        side = wp.sqrt(p[0] * p[0] + p[1] * p[1]) - solid.size[0]
        return wp.vec3(side, -FAR, wp.abs(p[2]) - solid.size[2])
    return wp.vec3(wp.length(p) - solid.size[0], -FAR, -FAR)


@wp.func
def normal_of_face(solid: Solid, p: wp.vec3, k: int) -> wp.vec3:
    """Outwards, in the frame of the part; zero of a hidden face."""
    if solid.kind == SPHERE:
        return wp.normalize(p)
    if solid.kind == CYLINDER and k == 0:
        return wp.normalize(wp.vec3(p[0], p[1], 0.0))
    normal = wp.vec3(0.0)
    side = wp.where(p[k] > 0.0, 1, 0)
    if ((solid.hidden >> (2 * k + side)) & 1) == 0:
        normal[k] = float(2 * side - 1)
    return normal


@wp.func
def velocity_of(place: Placement, position: wp.vec3) -> wp.vec3:
    """Of the body at a point in it."""
    return place.linear + wp.cross(place.angular, position - place.origin)


@wp.func
def slide(velocity: wp.vec3, normal: wp.vec3, friction: float, drag: float) -> wp.vec3:
    """Velocity relative to a wall after contact: nothing goes in; Coulomb friction, and viscous drag, which divides
    the velocity along the wall by 1 + drag."""
    into = wp.dot(velocity, normal)
    along = velocity - into * normal
    speed = wp.length(along)
    kept = wp.max(speed / (1.0 + drag) + friction * wp.min(into, 0.0), 0.0)
    return along * (kept / wp.max(speed, 1.0e-9)) + wp.max(into, 0.0) * normal


@wp.func
def resist(
    solid: Solid,
    place: Placement,
    p: wp.vec3,
    velocity: wp.vec3,
    spacing: float,
    friction: float,
    drag: float,
) -> wp.vec3:
    """Velocity of a grid node at p (frame of the part), relative to the body, after contact. The first layer of nodes
    behind a face slides along it, so at an edge along both its faces; deeper nodes move with the body, as they may be
    nearer to the far side of a wall."""
    beyond = beyond_faces(solid, p)
    if wp.max(beyond) >= solid.reach:
        return velocity
    if wp.max(beyond) < -spacing:
        return wp.vec3(0.0)
    u = wp.transpose(place.rotation) * velocity
    for k in range(3):
        if beyond[k] >= -spacing:
            normal = normal_of_face(solid, p, k)
            if wp.length_sq(normal) > 0.0:
                u = slide(u, normal, friction, drag)
            elif beyond[k] > 0.0:
                return velocity
    return place.rotation * u


@wp.func
def way_out(solid: Solid, p: wp.vec3) -> wp.vec3:
    """From a point p in a part (its frame) to the nearest place on its surface that is open; zero from outside."""
    beyond = beyond_faces(solid, p)
    way = wp.vec3(0.0)
    if wp.max(beyond) < 0.0:
        shortest = float(FAR)
        for k in range(3):
            normal = normal_of_face(solid, p, k)
            if -beyond[k] < shortest and wp.length_sq(normal) > 0.0:
                shortest = -beyond[k]
                way = -beyond[k] * normal
    return way


@wp.func
def push(impulses: wp.array[wp.spatial_vector], place: Placement, body: int, at: wp.vec3, impulse: wp.vec3):
    """Add an impulse at a point to those of a body: linear, then angular about its origin."""
    wp.atomic_add(impulses, body, wp.spatial_vector(impulse, wp.cross(at - place.origin, impulse)))
