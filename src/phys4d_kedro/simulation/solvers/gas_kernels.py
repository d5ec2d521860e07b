"""Gas on a staggered grid: sources, forces, divergence (Warp).

Velocities lie on the faces of the cells: u (X+1, Y, Z), v (X, Y+1, Z), w (X, Y, Z+1); everything else at their centres,
`state` being (smoke, heat, flame).
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: PLR0917

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.struct
class Swirl:
    """Turbulence of a source: waves `first` to `last` act within `radius` cells of `centre`."""

    centre: wp.vec3
    radius: float
    first: wp.int32
    last: wp.int32


@wp.struct
class Wave:
    """An acceleration `push` (m/s^2) times the cosine of `number` (radians a cell) times place + `rate` times time +
    `phase`."""

    number: wp.vec3
    push: wp.vec3
    rate: float
    phase: float


@wp.kernel
def age(cooling: float, burning: float, kept: wp.array3d(dtype=wp.vec3), state: wp.array3d(dtype=wp.vec3)):
    """Heat falls by the factor `cooling`, flame by the amount `burning`; sources keep theirs up."""
    i, j, k = wp.tid()
    s = state[i, j, k]
    state[i, j, k] = wp.max(wp.vec3(s[0], s[1] * cooling, wp.max(s[2] - burning, 0.0)), kept[i, j, k])


@wp.kernel
def centre(
    u: wp.array3d(dtype=float),
    v: wp.array3d(dtype=float),
    w: wp.array3d(dtype=float),
    velocity: wp.array3d(dtype=wp.vec3),
):
    i, j, k = wp.tid()
    velocity[i, j, k] = 0.5 * wp.vec3(
        u[i, j, k] + u[i + 1, j, k], v[i, j, k] + v[i, j + 1, k], w[i, j, k] + w[i, j, k + 1]
    )


@wp.kernel
def curl(velocity: wp.array3d(dtype=wp.vec3), cell: float, vorticity: wp.array3d(dtype=wp.vec3)):
    i, j, k = wp.tid()
    x = velocity[wp.min(i + 1, velocity.shape[0] - 1), j, k] - velocity[wp.max(i - 1, 0), j, k]
    y = velocity[i, wp.min(j + 1, velocity.shape[1] - 1), k] - velocity[i, wp.max(j - 1, 0), k]
    z = velocity[i, j, wp.min(k + 1, velocity.shape[2] - 1)] - velocity[i, j, wp.max(k - 1, 0)]
    vorticity[i, j, k] = wp.vec3(y[2] - z[1], z[0] - x[2], x[1] - y[0]) / (2.0 * cell)


@wp.kernel
def accelerate(
    state: wp.array3d(dtype=wp.vec3),
    vorticity: wp.array3d(dtype=wp.vec3),
    lift: wp.vec3,
    confinement: float,
    swirls: wp.array(dtype=Swirl),
    waves: wp.array(dtype=Wave),
    time: float,
    force: wp.array3d(dtype=wp.vec3),
):
    """Acceleration (m/s^2): `lift` times the state, upwards; vorticity confinement; turbulence of the sources."""
    i, j, k = wp.tid()
    n = vorticity.shape
    x = wp.length(vorticity[wp.min(i + 1, n[0] - 1), j, k]) - wp.length(vorticity[wp.max(i - 1, 0), j, k])
    y = wp.length(vorticity[i, wp.min(j + 1, n[1] - 1), k]) - wp.length(vorticity[i, wp.max(j - 1, 0), k])
    z = wp.length(vorticity[i, j, wp.min(k + 1, n[2] - 1)]) - wp.length(vorticity[i, j, wp.max(k - 1, 0)])
    total = wp.vec3(0.0, 0.0, wp.dot(lift, state[i, j, k]))
    total += confinement * wp.cross(wp.normalize(wp.vec3(x, y, z)), vorticity[i, j, k])
    p = wp.vec3(float(i) + 0.5, float(j) + 0.5, float(k) + 0.5)
    for s in range(swirls.shape[0]):
        swirl = swirls[s]
        if wp.length(p - swirl.centre) < swirl.radius:
            for m in range(swirl.first, swirl.last):
                wave = waves[m]
                total += wave.push * wp.cos(wp.dot(wave.number, p - swirl.centre) + wave.rate * time + wave.phase)
    force[i, j, k] = total


@wp.kernel
def push(force: wp.array3d(dtype=wp.vec3), axis: wp.int32, time: float, velocity: wp.array3d(dtype=float)):
    """Accelerate the faces across `axis` by what the cells on both sides feel; none passes the floor."""
    i, j, k = wp.tid()
    before, after = wp.vec3i(i, j, k), wp.vec3i(i, j, k)
    before[axis] = wp.max(before[axis] - 1, 0)
    after[axis] = wp.min(after[axis], force.shape[axis] - 1)
    mean = 0.5 * (force[before[0], before[1], before[2]][axis] + force[after[0], after[1], after[2]][axis])
    if axis == 2 and k == 0:
        velocity[i, j, k] = 0.0
    else:
        velocity[i, j, k] = velocity[i, j, k] + time * mean


@wp.kernel
def hold(held: wp.array3d(dtype=float), open_share: wp.array3d(dtype=float), velocity: wp.array3d(dtype=float)):
    """Faces of solids (`open_share` 0) move as the solids do."""
    i, j, k = wp.tid()
    if open_share[i, j, k] == 0.0:
        velocity[i, j, k] = held[i, j, k]


@wp.kernel
def divergence(
    u: wp.array3d(dtype=float),
    v: wp.array3d(dtype=float),
    w: wp.array3d(dtype=float),
    solid: wp.array3d(dtype=wp.int32),
    outflow: wp.array3d(dtype=float),
):
    """What flows out of each cell: velocity over cells; 0 in solids."""
    i, j, k = wp.tid()
    net = u[i + 1, j, k] - u[i, j, k] + v[i, j + 1, k] - v[i, j, k] + w[i, j, k + 1] - w[i, j, k]
    outflow[i, j, k] = wp.where(solid[i, j, k] == 1, 0.0, net)


@wp.kernel
def relieve(
    potential: wp.array3d(dtype=float),
    axis: wp.int32,
    open_share: wp.array3d(dtype=float),
    velocity: wp.array3d(dtype=float),
):
    """Take the potential's gradient off the open faces across `axis`. It is 0 on the box's open sides, which lie half
    a cell from the centres; nothing passes the floor."""
    i, j, k = wp.tid()
    before, after, place = wp.vec3i(i, j, k), wp.vec3i(i, j, k), wp.vec3i(i, j, k)
    before[axis] = wp.max(before[axis] - 1, 0)
    after[axis] = wp.min(after[axis], potential.shape[axis] - 1)
    low = potential[before[0], before[1], before[2]]
    high = potential[after[0], after[1], after[2]]
    gradient = high - low
    if place[axis] == 0:
        gradient = wp.where(axis == 2, 0.0, 2.0 * high)
    if place[axis] == potential.shape[axis]:
        gradient = -2.0 * low
    velocity[i, j, k] = velocity[i, j, k] - open_share[i, j, k] * gradient
