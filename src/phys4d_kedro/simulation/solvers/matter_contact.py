"""Where particles and grid nodes meet rigid bodies: how deep a point is in a shape, and what contact does to a velocity
(Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046

import warp as wp

wp.set_module_options({"enable_backward": False})

SPHERE = wp.constant(0)
BOX = wp.constant(1)
CYLINDER = wp.constant(2)

FAR = wp.constant(1.0e6)


@wp.struct
class Solid:
    """One part of a body: its shape, half its extent along its axes; bit 2 k (2 k + 1) of `hidden` says that its face
    towards -k (+k) lies against another part, so that nothing leaves through it. `temperature` K, 0: none."""

    kind: wp.int32
    size: wp.vec3
    hidden: wp.int32
    body: wp.int32
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


@wp.func
def _from_box(p: wp.vec3, half: wp.vec3, hidden: int) -> wp.vec4:
    sign = wp.vec3(wp.sign(p[0]), wp.sign(p[1]), wp.sign(p[2]))
    beyond = wp.cw_mul(sign, p) - half
    nearest = int(wp.argmax(beyond))
    if beyond[nearest] > 0.0:
        if ((hidden >> (2 * nearest + wp.where(sign[nearest] > 0.0, 1, 0))) & 1) != 0:
            return wp.vec4(0.0, 0.0, 0.0, FAR)
        way = wp.max(beyond, wp.vec3(0.0))
        distance = wp.length(way)
        normal = wp.cw_mul(sign, way) / distance
        return wp.vec4(normal[0], normal[1], normal[2], distance)
    best = wp.vec4(0.0, 0.0, 0.0, -FAR)
    for k in range(3):
        for positive in range(2):
            side = float(2 * positive - 1)
            distance = side * p[k] - half[k]
            if ((hidden >> (2 * k + positive)) & 1) == 0 and distance > best[3]:
                best = wp.vec4(0.0, 0.0, 0.0, distance)
                best[k] = side
    return best


@wp.func
def _from_cylinder(p: wp.vec3, half: wp.vec3, hidden: int) -> wp.vec4:
    radius = wp.max(wp.sqrt(p[0] * p[0] + p[1] * p[1]), 1.0e-9)
    side = radius - half[0]
    sign = wp.sign(p[2])
    cap = sign * p[2] - half[2]
    covered = ((hidden >> wp.where(sign > 0.0, 5, 4)) & 1) != 0
    if cap > wp.max(side, 0.0) and covered:
        return wp.vec4(0.0, 0.0, 0.0, FAR)
    if side > 0.0 and cap > 0.0:
        distance = wp.sqrt(side * side + cap * cap)
        out = side / (radius * distance)
        return wp.vec4(p[0] * out, p[1] * out, sign * cap / distance, distance)
    if cap > side and not covered:
        return wp.vec4(0.0, 0.0, sign, cap)
    return wp.vec4(p[0] / radius, p[1] / radius, 0.0, side)


@wp.func
def contact(solid: Solid, place: Placement, position: wp.vec3) -> wp.vec4:
    """Of a point: outward unit normal of a part where it is nearest (world), and distance in metres, negative inside.
    Far before a hidden face, where the body has another part."""
    p = wp.transpose(place.rotation) * (position - place.position)
    found = wp.vec4(0.0)
    if solid.kind == SPHERE:
        distance = wp.max(wp.length(p), 1.0e-9)
        found = wp.vec4(p[0] / distance, p[1] / distance, p[2] / distance, distance - solid.size[0])
    elif solid.kind == BOX:
        found = _from_box(p, solid.size, solid.hidden)
    else:
        found = _from_cylinder(p, solid.size, solid.hidden)
    n = place.rotation * wp.vec3(found[0], found[1], found[2])
    return wp.vec4(n[0], n[1], n[2], found[3])


@wp.func
def solid_share(cells: float) -> float:
    """How much of a node's spline lies behind a flat wall that is `cells` cells away (negative: around the node)."""
    x = wp.clamp(cells, -1.5, 1.5)
    if x > 0.5:
        return (1.5 - x) * (1.5 - x) * (1.5 - x) / 6.0
    if x < -0.5:
        return 1.0 - (1.5 + x) * (1.5 + x) * (1.5 + x) / 6.0
    return 0.5 - 0.75 * x + x * x * x / 3.0


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
def push(impulses: wp.array[wp.spatial_vector], place: Placement, body: int, at: wp.vec3, impulse: wp.vec3):
    """Add an impulse at a point to those of a body: linear, then angular about its origin."""
    wp.atomic_add(impulses, body, wp.spatial_vector(impulse, wp.cross(at - place.origin, impulse)))
