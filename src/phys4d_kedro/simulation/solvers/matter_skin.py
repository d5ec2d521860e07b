"""The skin of a liquid on a grid: distance to the particles, smoothed; their motion at its vertices (Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, PLR0917

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def spread(
    points: wp.array[wp.vec3],
    carried: wp.array[wp.vec4],
    lower: wp.vec3,
    cell: float,
    reach: float,
    centres: wp.array3d[wp.vec4],
    motions: wp.array3d[wp.vec4],
):
    """Weighted sums at the grid's points within `reach` of a particle: of positions (from the grid's point) and
    weights; of motions and the weights of particles that have one, which is the fourth component of `carried`."""
    p = wp.tid()
    x = (points[p] - lower) / cell
    span = reach / cell
    first = wp.vec3i(int(wp.ceil(x[0] - span)), int(wp.ceil(x[1] - span)), int(wp.ceil(x[2] - span)))
    last = wp.vec3i(int(wp.floor(x[0] + span)), int(wp.floor(x[1] + span)), int(wp.floor(x[2] + span)))
    for i in range(first[0], last[0] + 1):
        for j in range(first[1], last[1] + 1):
            for k in range(first[2], last[2] + 1):
                way = (x - wp.vec3(float(i), float(j), float(k))) * cell
                near = 1.0 - wp.length_sq(way) / (reach * reach)
                if near > 0.0:
                    w = near * near * near
                    wp.atomic_add(centres, i, j, k, w * wp.vec4(way[0], way[1], way[2], 1.0))
                    wp.atomic_add(motions, i, j, k, w * carried[p])


@wp.kernel
def measure(centres: wp.array3d[wp.vec4], radius: float, far: float, field: wp.array3d[float]):
    """Distance to the mean position of the particles around, less their radius; `far` where there are none."""
    i, j, k = wp.tid()
    sums = centres[i, j, k]
    distance = far
    if sums[3] > 0.0:
        distance = wp.min(wp.length(wp.vec3(sums[0], sums[1], sums[2])) / sums[3], far)
    field[i, j, k] = distance - radius


@wp.kernel
def blur(rough: wp.array3d[float], smooth: wp.array3d[float]):
    """Binomial mean over 27 points; the outermost stay."""
    i, j, k = wp.tid()
    inner = i > 0 and j > 0 and k > 0
    if not inner or i + 1 == rough.shape[0] or j + 1 == rough.shape[1] or k + 1 == rough.shape[2]:
        smooth[i, j, k] = rough[i, j, k]
        return
    total = float(0.0)
    for a in range(-1, 2):
        for b in range(-1, 2):
            for c in range(-1, 2):
                weight = float((2 - wp.abs(a)) * (2 - wp.abs(b)) * (2 - wp.abs(c)))
                total += weight * rough[i + a, j + b, k + c]
    smooth[i, j, k] = total / 64.0


@wp.kernel
def carry(
    vertices: wp.array[wp.vec3], motions: wp.array3d[wp.vec4], lower: wp.vec3, cell: float, moves: wp.array[wp.vec3]
):
    """Mean motion of the particles around a vertex; zero where none has any."""
    v = wp.tid()
    x = (vertices[v] - lower) / cell
    i = wp.clamp(int(x[0]), 0, motions.shape[0] - 2)
    j = wp.clamp(int(x[1]), 0, motions.shape[1] - 2)
    k = wp.clamp(int(x[2]), 0, motions.shape[2] - 2)
    f = x - wp.vec3(float(i), float(j), float(k))
    total = wp.vec4(0.0)
    for a in range(2):
        for b in range(2):
            for c in range(2):
                wx = wp.where(a == 0, 1.0 - f[0], f[0])
                wy = wp.where(b == 0, 1.0 - f[1], f[1])
                wz = wp.where(c == 0, 1.0 - f[2], f[2])
                total += wx * wy * wz * motions[i + a, j + b, k + c]
    if total[3] > 0.0:
        moves[v] = wp.vec3(total[0], total[1], total[2]) / total[3]
    else:
        moves[v] = wp.vec3(0.0)
