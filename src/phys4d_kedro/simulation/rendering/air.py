"""What fills the space between the bodies: a panorama all around, smoke and flame in boxes (Warp).

Rays have their origin o and direction d (any length) in camera axes. A volume's own axes are the world's, with the
origin at its lower corner.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, PLR0917

import warp as wp

from phys4d_kedro.simulation.rendering.lighting import Light, sky
from phys4d_kedro.simulation.rendering.shapes import MISS
from phys4d_kedro.simulation.rendering.tracing import Placement

# How much a gas that glows at 1 hides, in 1/m: a flame of a few centimetres looks solid.
GLOW_EXTINCTION = wp.constant(60.0)
# Optical depth at which half is absorbed.
HALF = wp.constant(0.6931472)
MOST_STEPS = wp.constant(1024)


@wp.struct
class Cloud:
    """A volume: where its cells start in the tables, and those of its sunlight, which has cells of twice the size;
    metres a cell; what it scatters of light."""

    start: wp.int32
    count: wp.vec3i
    sun_start: wp.int32
    sun_count: wp.vec3i
    cell: float
    instance: wp.int32
    colour: wp.vec3


@wp.struct
class Air:
    """T frames, N volumes. `places` (T, N) are volume_from_camera. Tables of all cells: extinction, glow (empty where
    nothing glows), the share of sunlight that reaches them, velocity in metres a frame. `harmonics` (9) give the
    panorama's light on a surface, `ambient` that on smoke, as radiances of what is white."""

    clouds: wp.array[Cloud]
    places: wp.array2d[Placement]
    density: wp.array[float]
    glow: wp.array[float]
    velocity: wp.array[wp.vec3]
    sunlight: wp.array[float]
    panorama: wp.array2d[wp.vec3]
    harmonics: wp.array[wp.vec3]
    ambient: wp.vec3


@wp.func
def panorama_light(air: Air, normal: wp.vec3) -> wp.vec3:
    """Irradiance over pi of a surface with a unit normal in world axes: spherical harmonics of second order."""
    x = normal[0]
    y = normal[1]
    z = normal[2]
    total = air.harmonics[0] + y * air.harmonics[1] + z * air.harmonics[2] + x * air.harmonics[3]
    total += (x * y) * air.harmonics[4] + (y * z) * air.harmonics[5] + (3.0 * z * z - 1.0) * air.harmonics[6]
    total += (x * z) * air.harmonics[7] + (x * x - y * y) * air.harmonics[8]
    return wp.max(total, wp.vec3(0.0))


@wp.func
def look_around(air: Air, light: Light, direction: wp.vec3) -> wp.vec3:
    """Radiance of what is seen in a unit direction where no body is."""
    rows = air.panorama.shape[0]
    if rows == 0:
        return sky(light, direction)
    columns = air.panorama.shape[1]
    d = light.to_world * direction
    y = wp.acos(wp.clamp(d[2], -1.0, 1.0)) / wp.PI * float(rows) - 0.5
    x = wp.atan2(d[1], d[0]) / (2.0 * wp.PI) * float(columns) - 0.5
    top = wp.floor(y)
    left = wp.floor(x)
    above = wp.clamp(int(top), 0, rows - 1)
    below = wp.clamp(int(top) + 1, 0, rows - 1)
    west = (int(left) + 2 * columns) % columns
    east = (west + 1) % columns
    return wp.lerp(
        wp.lerp(air.panorama[above, west], air.panorama[above, east], x - left),
        wp.lerp(air.panorama[below, west], air.panorama[below, east], x - left),
        y - top,
    )


@wp.func
def span(cloud: Cloud, o: wp.vec3, d: wp.vec3, limit: float) -> wp.vec2:
    """Parameters between 0 and `limit` at which a ray, in the volume's axes, enters it and leaves it (enter >= leave:
    it misses)."""
    enter = float(0.0)
    leave = float(limit)
    for axis in range(3):
        far = cloud.cell * float(cloud.count[axis])
        if wp.abs(d[axis]) < 1.0e-12:
            if o[axis] < 0.0 or o[axis] > far:
                leave = float(0.0)
        else:
            a = -o[axis] / d[axis]
            b = (far - o[axis]) / d[axis]
            enter = wp.max(enter, wp.min(a, b))
            leave = wp.min(leave, wp.max(a, b))
    return wp.vec2(enter, leave)


@wp.func
def steps_of(cloud: Cloud, length: float, cells: float) -> int:
    """How many steps of about `cells` cells a way of `length` metres takes."""
    return wp.clamp(int(wp.ceil(length / (cells * cloud.cell))), 1, MOST_STEPS)


@wp.func
def sample(table: wp.array[float], start: int, count: wp.vec3i, q: wp.vec3) -> float:
    """Trilinear value at q, in cells from the lower corner of a grid whose values are those of the cells' middles."""
    x = wp.clamp(q[0] - 0.5, 0.0, float(count[0] - 1))
    y = wp.clamp(q[1] - 0.5, 0.0, float(count[1] - 1))
    z = wp.clamp(q[2] - 0.5, 0.0, float(count[2] - 1))
    i = int(x)
    j = int(y)
    k = int(z)
    # At the last cell the neighbour is the cell itself.
    step_i = wp.min(1, count[0] - 1 - i) * count[1] * count[2]
    step_j = wp.min(1, count[1] - 1 - j) * count[2]
    step_k = wp.min(1, count[2] - 1 - k)
    c = start + (i * count[1] + j) * count[2] + k
    fx = x - float(i)
    fy = y - float(j)
    fz = z - float(k)
    low = wp.lerp(
        wp.lerp(table[c], table[c + step_k], fz), wp.lerp(table[c + step_j], table[c + step_j + step_k], fz), fy
    )
    c += step_i
    high = wp.lerp(
        wp.lerp(table[c], table[c + step_k], fz), wp.lerp(table[c + step_j], table[c + step_j + step_k], fz), fy
    )
    return wp.lerp(low, high, fx)


@wp.func
def cells_before(cloud: Cloud, t: int) -> int:
    """Where the cells of frame t start in the tables."""
    return cloud.start + t * cloud.count[0] * cloud.count[1] * cloud.count[2]


@wp.func
def extinction(air: Air, cloud: Cloud, start: int, p: wp.vec3) -> float:
    """In 1/m, of smoke and flame at p in the volume's axes; `start`: of the frame's cells."""
    q = p / cloud.cell
    total = sample(air.density, start, cloud.count, q)
    if air.glow.shape[0] > 0:
        total += GLOW_EXTINCTION * sample(air.glow, start, cloud.count, q)
    return total


@wp.func
def half_absorbed(air: Air, n: int, t: int, d: wp.vec3, limit: float) -> float:
    """Parameter, below `limit`, at which volume n has absorbed half of a ray from the camera of frame t, or MISS."""
    cloud = air.clouds[n]
    place = air.places[t, n]
    direction = place.rotation * d
    between = span(cloud, place.translation, direction, limit)
    if between[0] >= between[1]:
        return MISS
    metres = wp.length(d)
    steps = steps_of(cloud, (between[1] - between[0]) * metres, 0.5)
    step = (between[1] - between[0]) / float(steps)
    start = cells_before(cloud, t)
    depth = float(0.0)
    for i in range(steps):
        begin = between[0] + float(i) * step
        more = extinction(air, cloud, start, place.translation + (begin + 0.5 * step) * direction) * step * metres
        if depth + more >= HALF:
            return begin + step * (HALF - depth) / more
        depth += more
    return MISS


@wp.func
def smoke_shadow(air: Air, t: int, point: wp.vec3, light: Light) -> float:
    """Share of the sunlight that passes the smoke on its way to a point."""
    depth = float(0.0)
    for n in range(air.clouds.shape[0]):
        cloud = air.clouds[n]
        place = air.places[t, n]
        o = place.rotation * point + place.translation
        d = place.rotation * light.sun
        between = span(cloud, o, d, MISS)
        if between[0] < between[1]:
            steps = steps_of(cloud, between[1] - between[0], 2.0)
            step = (between[1] - between[0]) / float(steps)
            start = cells_before(cloud, t)
            for i in range(steps):
                p = o + (between[0] + (float(i) + 0.5) * step) * d
                depth += step * sample(air.density, start, cloud.count, p / cloud.cell)
    return wp.exp(-depth)


@wp.func
def _flame(glow: float) -> wp.vec3:
    """Radiance of a flame that hides what is behind it: dark red, orange, pale yellow."""
    orange = wp.vec3(1.5, 0.42, 0.05)
    if glow < 0.5:
        return wp.lerp(wp.vec3(0.25, 0.02, 0.0), orange, 2.0 * glow)
    return wp.lerp(orange, wp.vec3(2.0, 1.6, 0.75), wp.min(2.0 * glow - 1.0, 1.0))


@wp.func
def look_through(air: Air, t: int, light: Light, o: wp.vec3, d: wp.vec3, limit: float, offset: float) -> wp.vec4:
    """Radiance that the volumes send back along a ray as far as `limit`, and the share of what is behind that passes.
    `offset` in [0, 1) is the place of the samples in their steps. Single scattering, alike in all directions."""
    seen = wp.vec3(0.0)
    passing = float(1.0)
    metres = wp.length(d)
    for n in range(air.clouds.shape[0]):
        cloud = air.clouds[n]
        place = air.places[t, n]
        origin = place.rotation * o + place.translation
        direction = place.rotation * d
        between = span(cloud, origin, direction, limit)
        if between[0] < between[1]:
            steps = steps_of(cloud, (between[1] - between[0]) * metres, 0.5)
            step = (between[1] - between[0]) / float(steps)
            start = cells_before(cloud, t)
            sun_start = cloud.sun_start + t * cloud.sun_count[0] * cloud.sun_count[1] * cloud.sun_count[2]
            for i in range(steps):
                q = (origin + (between[0] + (float(i) + offset) * step) * direction) / cloud.cell
                smoke = sample(air.density, start, cloud.count, q)
                glow = float(0.0)
                if air.glow.shape[0] > 0:
                    glow = sample(air.glow, start, cloud.count, q)
                burning = GLOW_EXTINCTION * glow
                if smoke + burning > 0.0:
                    lit = sample(air.sunlight, sun_start, cloud.sun_count, 0.5 * q)
                    scattered = wp.cw_mul(cloud.colour, (0.25 * lit) * light.sun_colour + air.ambient)
                    source = (smoke * scattered + burning * _flame(glow)) / (smoke + burning)
                    absorbed = passing * (1.0 - wp.exp(-(smoke + burning) * step * metres))
                    seen += absorbed * source
                    passing -= absorbed
                    if passing < 1.0e-3:
                        break
    return wp.vec4(seen[0], seen[1], seen[2], passing)
