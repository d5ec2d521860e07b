"""Gas on a staggered grid: what moves with the gas (Warp).

Velocities lie on the faces of the cells: u (X+1, Y, Z), v (X, Y+1, Z), w (X, Y, Z+1); the `state` (smoke, heat, flame)
at their centres. Positions are in cells from the grid's lower corner, so the centre of cell i lies at i + 0.5; `step`
is time over cell size, so step times velocity is a way in cells.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, PLR0917

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.func
def corner(field: wp.array3d(dtype=float), p: wp.vec3):
    """The lower of the eight points around `p`, which is in the field's own indices; p within the field."""
    i = wp.clamp(int(wp.floor(p[0])), 0, wp.max(field.shape[0] - 2, 0))
    j = wp.clamp(int(wp.floor(p[1])), 0, wp.max(field.shape[1] - 2, 0))
    k = wp.clamp(int(wp.floor(p[2])), 0, wp.max(field.shape[2] - 2, 0))
    return i, j, k


@wp.func
def interpolate(field: wp.array3d(dtype=float), p: wp.vec3):
    """Trilinear; beyond the edge the value at the edge."""
    i, j, k = corner(field, p)
    x = wp.clamp(p[0] - float(i), 0.0, 1.0)
    y = wp.clamp(p[1] - float(j), 0.0, 1.0)
    z = wp.clamp(p[2] - float(k), 0.0, 1.0)
    i1 = wp.min(i + 1, field.shape[0] - 1)
    j1 = wp.min(j + 1, field.shape[1] - 1)
    k1 = wp.min(k + 1, field.shape[2] - 1)
    a = wp.lerp(field[i, j, k], field[i, j, k1], z)
    b = wp.lerp(field[i, j1, k], field[i, j1, k1], z)
    c = wp.lerp(field[i1, j, k], field[i1, j, k1], z)
    d = wp.lerp(field[i1, j1, k], field[i1, j1, k1], z)
    return wp.lerp(wp.lerp(a, b, y), wp.lerp(c, d, y), x)


@wp.func
def within_bounds(field: wp.array3d(dtype=float), p: wp.vec3, value: float):
    """Whether `value` lies between the least and the greatest of the eight points around `p`."""
    i, j, k = corner(field, p)
    i1 = wp.min(i + 1, field.shape[0] - 1)
    j1 = wp.min(j + 1, field.shape[1] - 1)
    k1 = wp.min(k + 1, field.shape[2] - 1)
    a, b, c, d = field[i, j, k], field[i, j, k1], field[i, j1, k], field[i, j1, k1]
    e, f, g, h = field[i1, j, k], field[i1, j, k1], field[i1, j1, k], field[i1, j1, k1]
    low = wp.min(wp.min(wp.min(a, b), wp.min(c, d)), wp.min(wp.min(e, f), wp.min(g, h)))
    high = wp.max(wp.max(wp.max(a, b), wp.max(c, d)), wp.max(wp.max(e, f), wp.max(g, h)))
    return value >= low and value <= high


@wp.func
def velocity_at(u: wp.array3d(dtype=float), v: wp.array3d(dtype=float), w: wp.array3d(dtype=float), p: wp.vec3):
    return wp.vec3(
        interpolate(u, p - wp.vec3(0.0, 0.5, 0.5)),
        interpolate(v, p - wp.vec3(0.5, 0.0, 0.5)),
        interpolate(w, p - wp.vec3(0.5, 0.5, 0.0)),
    )


@wp.func
def trace(u: wp.array3d(dtype=float), v: wp.array3d(dtype=float), w: wp.array3d(dtype=float), p: wp.vec3, step: float):
    """Where what is at `p` is after `step` (midpoint rule)."""
    middle = p + 0.5 * step * velocity_at(u, v, w, p)
    return p + step * velocity_at(u, v, w, middle)


@wp.func
def beyond(p: wp.vec3, size: wp.vec3):
    """How far `p` is beyond the open sides and top, in cells, at most 1."""
    sideways = wp.max(wp.max(-p[0], p[0] - size[0]), wp.max(-p[1], p[1] - size[1]))
    return wp.clamp(wp.max(sideways, p[2] - size[2]), 0.0, 1.0)


@wp.kernel
def advect(
    u: wp.array3d(dtype=float),
    v: wp.array3d(dtype=float),
    w: wp.array3d(dtype=float),
    field: wp.array3d(dtype=float),
    offset: wp.vec3,
    outside: float,
    size: wp.vec3,
    step: float,
    moved: wp.array3d(dtype=float),
    departure: wp.array3d(dtype=wp.vec3),
):
    """Semi-Lagrangian: every value is what was where the gas comes from, `outside` where that is outside."""
    i, j, k = wp.tid()
    p = wp.vec3(float(i), float(j), float(k)) + offset
    q = trace(u, v, w, p, -step)
    departure[i, j, k] = q
    moved[i, j, k] = wp.lerp(interpolate(field, q - offset), outside, beyond(q, size))


@wp.kernel
def correct(
    u: wp.array3d(dtype=float),
    v: wp.array3d(dtype=float),
    w: wp.array3d(dtype=float),
    field: wp.array3d(dtype=float),
    offset: wp.vec3,
    size: wp.vec3,
    step: float,
    moved: wp.array3d(dtype=float),
    departure: wp.array3d(dtype=wp.vec3),
    corrected: wp.array3d(dtype=float),
):
    """MacCormack: takes off half of what moving back does not undo, unless that would make a new extremum."""
    i, j, k = wp.tid()
    p = wp.vec3(float(i), float(j), float(k)) + offset
    q = departure[i, j, k]
    value = moved[i, j, k]
    r = trace(u, v, w, p, step)
    if beyond(q, size) == 0.0 and beyond(r, size) == 0.0:
        error = field[i, j, k] - interpolate(moved, r - offset)
        sharper = value + 0.5 * error
        if within_bounds(field, q - offset, sharper):
            value = sharper
    corrected[i, j, k] = value


@wp.func
def limited(before: wp.vec3, after: wp.vec3):
    """Slope between two differences: their mean, at most twice either, 0 at an extremum (van Leer 1977)."""
    mean = 0.5 * (before + after)
    zero = wp.vec3(0.0, 0.0, 0.0)
    rising = wp.max(zero, wp.min(mean, 2.0 * wp.min(before, after)))
    return rising + wp.min(zero, wp.max(mean, 2.0 * wp.max(before, after)))


@wp.func
def volume_left(
    u: wp.array3d(dtype=float),
    v: wp.array3d(dtype=float),
    w: wp.array3d(dtype=float),
    c: wp.vec3i,
    swept: wp.vec3i,
    step: float,
):
    """The gas that a cell holds, as a share of the cell, when the flow along the axes that are `swept` has been
    taken."""
    i, j, k = c[0], c[1], c[2]
    volume = float(1.0)
    if swept[0] == 1:
        volume -= step * (u[i + 1, j, k] - u[i, j, k])
    if swept[1] == 1:
        volume -= step * (v[i, j + 1, k] - v[i, j, k])
    if swept[2] == 1:
        volume -= step * (w[i, j, k + 1] - w[i, j, k])
    return volume


@wp.func
def flux(
    u: wp.array3d(dtype=float),
    v: wp.array3d(dtype=float),
    w: wp.array3d(dtype=float),
    state: wp.array3d(dtype=wp.vec3),
    face: wp.vec3i,
    axis: wp.int32,
    swept: wp.vec3i,
    flow: float,
    step: float,
):
    """What passes a face with `flow` cells of gas: nothing where fresh air comes in."""
    upwind, downwind, further = wp.vec3i(face), wp.vec3i(face), wp.vec3i(face)
    last = state.shape[axis] - 1
    if flow > 0.0:
        upwind[axis] = face[axis] - 1
        downwind[axis] = wp.min(face[axis], last)
        further[axis] = wp.max(face[axis] - 2, 0)
    else:
        downwind[axis] = wp.max(face[axis] - 1, 0)
        further[axis] = wp.min(face[axis] + 1, last)
    carried = wp.vec3(0.0, 0.0, 0.0)
    if upwind[axis] >= 0 and upwind[axis] <= last:
        here = state[upwind[0], upwind[1], upwind[2]]
        # Most of the air is clean.
        if flow != 0.0 and wp.max(here) > 0.0:
            courant = wp.abs(flow) / volume_left(u, v, w, upwind, swept, step)
            before = here - state[further[0], further[1], further[2]]
            after = state[downwind[0], downwind[1], downwind[2]] - here
            carried = flow * (here + 0.5 * (1.0 - courant) * limited(before, after))
    return carried


@wp.kernel
def sweep(
    u: wp.array3d(dtype=float),
    v: wp.array3d(dtype=float),
    w: wp.array3d(dtype=float),
    state: wp.array3d(dtype=wp.vec3),
    speed: wp.array3d(dtype=float),
    open_share: wp.array3d(dtype=float),
    axis: wp.int32,
    swept: wp.vec3i,
    step: float,
    after: wp.array3d(dtype=wp.vec3),
):
    """Carry the state along one axis, with the `speed` across it, in conservation form: what leaves a cell enters the
    next. Flow along one axis alone does not keep the volume of the cells' gas, so that is counted too."""
    i, j, k = wp.tid()
    low, high = wp.vec3i(i, j, k), wp.vec3i(i, j, k)
    high[axis] = high[axis] + 1
    into = step * speed[i, j, k]
    out = step * speed[high[0], high[1], high[2]]
    volume = volume_left(u, v, w, low, swept, step)
    gain = flux(u, v, w, state, low, axis, swept, into * open_share[i, j, k], step)
    loss = flux(u, v, w, state, high, axis, swept, out * open_share[high[0], high[1], high[2]], step)
    amount = volume * state[i, j, k] + gain - loss
    after[i, j, k] = wp.max(amount / (volume + into - out), wp.vec3(0.0, 0.0, 0.0))  # rounding aside, no change


@wp.kernel
def carry(
    u: wp.array3d(dtype=float),
    v: wp.array3d(dtype=float),
    w: wp.array3d(dtype=float),
    step: float,
    points: wp.array3d(dtype=wp.vec3),
):
    i, j, k = wp.tid()
    points[i, j, k] = trace(u, v, w, points[i, j, k], step)
