"""The shapes: where a ray meets each of them, their normals, and distances to them (Warp).

All in the frame of the shape, which is the body's frame but for a mesh, whose origin is moved to the middle of its
vertices. Letters: o a ray's origin, d its direction (any length), p a point.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: PLR0911

import warp as wp

PLANE = wp.constant(0)
SPHERE = wp.constant(1)
BOX = wp.constant(2)
CYLINDER = wp.constant(3)
MESH = wp.constant(4)

MISS = wp.constant(1.0e30)


@wp.struct
class Field:
    """Grid of distances to a mesh: where it starts in the table of all grids, points along each axis, spacing. The grid
    is centred on the shape."""

    start: wp.int32
    count: wp.vec3i
    spacing: float


@wp.struct
class Solid:
    """The shape of a body in a frame. `size` is half its extent along its axes; of a `convex` body nothing that faces a
    viewer is hidden by the body itself; `smooth`: a mesh has vertex normals; a mesh that `deforms` has a `Skin`."""

    kind: wp.int32
    convex: wp.int32
    deforms: wp.int32
    smooth: wp.int32
    mesh: wp.uint64
    size: wp.vec3
    field: Field


@wp.struct
class Skin:
    """Where the vertices of a mesh that deforms start, in a frame, in the tables of `World` (rest, shades: -1 if it has
    none). With a `slack` >= 0 the mesh is found anew in every frame."""

    shifts: wp.int32
    rest: wp.int32
    shades: wp.int32
    slack: float


@wp.struct
class Look:
    """The material of a body, and its instance."""

    instance: wp.int32
    texture: wp.int32
    frequency: float
    colour: wp.vec3
    second_colour: wp.vec3
    roughness: float
    specular: float
    mirror: wp.int32
    transmission: float
    refractive_index: float
    clarity: float


@wp.struct
class Hit:
    """The first thing on a ray: body (-1: none), ray parameter; triangle and barycentrics on a mesh."""

    body: wp.int32
    distance: float
    face: wp.int32
    u: float
    v: float


@wp.func
def _safe(component: float) -> float:
    """A direction's component, kept from zero so that the slab tests can divide by it."""
    if wp.abs(component) < 1.0e-12:
        return 1.0e-12
    return component


@wp.func
def _first(near: float, far: float) -> float:
    """First positive parameter of the stretch of a ray that is inside a convex shape."""
    if near > far or far <= 0.0:
        return MISS
    if near > 0.0:
        return near
    return far


@wp.func
def _hit_plane(o: wp.vec3, d: wp.vec3, half: wp.vec3) -> float:
    t = -o[2] / _safe(d[2])
    if t <= 0.0 or wp.abs(o[0] + t * d[0]) > half[0] or wp.abs(o[1] + t * d[1]) > half[1]:
        return MISS
    return t


@wp.func
def _hit_sphere(o: wp.vec3, d: wp.vec3, radius: float) -> float:
    # Through the foot of the perpendicular: exact far from the sphere, where b^2 - 4ac cancels.
    a = wp.dot(d, d)
    middle = -wp.dot(o, d) / a
    foot = o + middle * d
    rest = radius * radius - wp.dot(foot, foot)
    if rest < 0.0:
        return MISS
    half = wp.sqrt(rest / a)
    return _first(middle - half, middle + half)


@wp.func
def _hit_box(o: wp.vec3, d: wp.vec3, half: wp.vec3) -> float:
    inverse = wp.vec3(1.0 / _safe(d[0]), 1.0 / _safe(d[1]), 1.0 / _safe(d[2]))
    middle = -wp.cw_mul(o, inverse)
    reach = wp.cw_mul(half, wp.vec3(wp.abs(inverse[0]), wp.abs(inverse[1]), wp.abs(inverse[2])))
    return _first(wp.max(middle - reach), wp.min(middle + reach))


@wp.func
def _hit_cylinder(o: wp.vec3, d: wp.vec3, radius: float, half_height: float) -> float:
    inverse = 1.0 / _safe(d[2])
    middle_cap = -o[2] * inverse
    reach_cap = half_height * wp.abs(inverse)
    a = wp.max(d[0] * d[0] + d[1] * d[1], 1.0e-24)
    middle = -(o[0] * d[0] + o[1] * d[1]) / a
    x = o[0] + middle * d[0]
    y = o[1] + middle * d[1]
    rest = radius * radius - x * x - y * y
    if rest < 0.0:
        return MISS
    half = wp.sqrt(rest / a)
    return _first(wp.max(middle - half, middle_cap - reach_cap), wp.min(middle + half, middle_cap + reach_cap))


@wp.func
def hit_convex(solid: Solid, o: wp.vec3, d: wp.vec3) -> float:
    """Ray parameter of the first hit of every shape but a mesh, or MISS."""
    if solid.kind == SPHERE:
        return _hit_sphere(o, d, solid.size[0])
    if solid.kind == BOX:
        return _hit_box(o, d, solid.size)
    if solid.kind == CYLINDER:
        return _hit_cylinder(o, d, solid.size[0], solid.size[2])
    return _hit_plane(o, d, solid.size)


@wp.func
def may_hit(solid: Solid, o: wp.vec3, d: wp.vec3, margin: float) -> bool:
    """Whether a ray passes the box around a body at less than `margin`."""
    return _hit_box(o, d, solid.size + wp.vec3(margin)) != MISS


@wp.func
def hits(solid: Solid, o: wp.vec3, d: wp.vec3, limit: float) -> bool:
    """Whether the body is hit before the ray parameter reaches `limit`."""
    if solid.kind == MESH:
        if not may_hit(solid, o, d, 0.0):
            return False
        return wp.mesh_query_ray_anyhit(solid.mesh, o, d, limit)
    return hit_convex(solid, o, d) < limit


@wp.func
def normal_of(solid: Solid, p: wp.vec3, hit: Hit) -> wp.vec3:
    """Unit geometric normal at the point p of the surface, outwards where there is an outside."""
    if solid.kind == SPHERE:
        return wp.normalize(p)
    if solid.kind == BOX:
        x = wp.abs(p[0]) - solid.size[0]
        y = wp.abs(p[1]) - solid.size[1]
        z = wp.abs(p[2]) - solid.size[2]
        if x > y and x > z:
            return wp.vec3(wp.sign(p[0]), 0.0, 0.0)
        if y > z:
            return wp.vec3(0.0, wp.sign(p[1]), 0.0)
        return wp.vec3(0.0, 0.0, wp.sign(p[2]))
    if solid.kind == CYLINDER:
        radius = wp.sqrt(p[0] * p[0] + p[1] * p[1])
        if wp.abs(p[2]) - solid.size[2] > radius - solid.size[0]:
            return wp.vec3(0.0, 0.0, wp.sign(p[2]))
        return wp.vec3(p[0] / radius, p[1] / radius, 0.0)
    if solid.kind == MESH:
        return wp.mesh_eval_face_normal(solid.mesh, hit.face)
    return wp.vec3(0.0, 0.0, 1.0)


@wp.func
def _field_value(table: wp.array[float], field: Field, i: int, j: int, k: int) -> float:
    return table[field.start + (i * field.count[1] + j) * field.count[2] + k]


@wp.func
def field_point(field: Field, i: int, j: int, k: int) -> wp.vec3:
    """Position of a grid point in the frame of the shape."""
    x = float(i) - 0.5 * float(field.count[0] - 1)
    y = float(j) - 0.5 * float(field.count[1] - 1)
    z = float(k) - 0.5 * float(field.count[2] - 1)
    return field.spacing * wp.vec3(x, y, z)


@wp.func
def _field_distance(table: wp.array[float], field: Field, p: wp.vec3) -> float:
    """Trilinear inside the grid; outside, the way to the grid is added to the value at its border."""
    last = wp.vec3(float(field.count[0] - 1), float(field.count[1] - 1), float(field.count[2] - 1))
    position = p / field.spacing + 0.5 * last
    inside = wp.min(wp.max(position, wp.vec3(0.0)), last)
    i = wp.min(int(inside[0]), field.count[0] - 2)
    j = wp.min(int(inside[1]), field.count[1] - 2)
    k = wp.min(int(inside[2]), field.count[2] - 2)
    x = inside[0] - float(i)
    y = inside[1] - float(j)
    z = inside[2] - float(k)
    low = wp.lerp(
        wp.lerp(_field_value(table, field, i, j, k), _field_value(table, field, i, j, k + 1), z),
        wp.lerp(_field_value(table, field, i, j + 1, k), _field_value(table, field, i, j + 1, k + 1), z),
        y,
    )
    high = wp.lerp(
        wp.lerp(_field_value(table, field, i + 1, j, k), _field_value(table, field, i + 1, j, k + 1), z),
        wp.lerp(_field_value(table, field, i + 1, j + 1, k), _field_value(table, field, i + 1, j + 1, k + 1), z),
        y,
    )
    return wp.lerp(low, high, x) + field.spacing * wp.length(position - inside)


@wp.func
def distance_to(solid: Solid, table: wp.array[float], p: wp.vec3) -> float:
    """Distance in metres from p (frame of the shape) to the body, 0 inside; to the surface of a mesh that keeps its
    form, by its grid."""
    if solid.kind == SPHERE:
        return wp.max(wp.length(p) - solid.size[0], 0.0)
    if solid.kind == CYLINDER:
        side = wp.max(wp.sqrt(p[0] * p[0] + p[1] * p[1]) - solid.size[0], 0.0)
        cap = wp.max(wp.abs(p[2]) - solid.size[2], 0.0)
        return wp.sqrt(side * side + cap * cap)
    if solid.kind == MESH:
        return _field_distance(table, solid.field, p)
    return wp.length(wp.max(wp.abs(p) - solid.size, wp.vec3(0.0)))
