"""Kernels of volumes: the sun in smoke, annotations of what smoke and flame hide (Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, PLR0917, SIM102

import warp as wp

from phys4d_kedro.simulation.rendering.air import Air, cells_before, half_absorbed, smoke_shadow
from phys4d_kedro.simulation.rendering.lighting import Light
from phys4d_kedro.simulation.rendering.shapes import MISS, Hit
from phys4d_kedro.simulation.rendering.tracing import NEAREST, Band, Camera, ray_through

wp.set_module_options({"enable_backward": False})


@wp.kernel
def light_smoke(first_frame: int, air: Air, lights: wp.array[Light], sunlight: wp.array[float]):
    """Share of sunlight that reaches each cell, of twice the size of the smoke's, through the smoke itself."""
    n, k, c = wp.tid()
    t = first_frame + k
    cloud = air.clouds[n]
    count = cloud.sun_count
    cells = count[0] * count[1] * count[2]
    if c >= cells:
        return
    q = wp.vec3(float(c // (count[1] * count[2])), float(c // count[2] % count[1]), float(c % count[2]))
    place = air.places[t, n]
    p = (2.0 * cloud.cell) * (q + wp.vec3(0.5))
    point = wp.transpose(place.rotation) * (p - place.translation)
    sunlight[cloud.sun_start + t * cells + c] = smoke_shadow(air, t, point, lights[t])


@wp.kernel
def annotate_smoke(
    band: Band,
    camera: Camera,
    air: Air,
    hits: wp.array3d[Hit],
    depth: wp.array3d[float],
    segmentation: wp.array3d[wp.uint16],
    motion: wp.array4d[float],
    motion_valid: wp.array3d[wp.bool],
):
    """Give the pixels of which a volume absorbs more than half to the volume, and let it hide points at frame t + 1."""
    k, i, column = wp.tid()
    row = band.row + i
    t = band.frame + k
    d = ray_through(camera, float(column) + 0.5, float(row) + 0.5)
    later = t + 1 < depth.shape[0]
    nearest = float(MISS)
    owner = int(-1)
    for n in range(air.clouds.shape[0]):
        distance = half_absorbed(air, n, t, d, hits[k, i + 1, column].distance)
        if distance < nearest:
            nearest = distance
            owner = n
    if owner >= 0:
        depth[t, row, column] = nearest
        segmentation[t, row, column] = wp.uint16(air.clouds[owner].instance)
        if later:
            motion_valid[t, row, column] = False
            here = nearest * d
            there = _drift(air, owner, t, here)
            for channel in range(3):
                motion[t, row, column, channel] = 0.0
            if there[2] >= NEAREST:
                motion[t, row, column, 0] = camera.fx * (there[0] / there[2] - d[0])
                motion[t, row, column, 1] = camera.fy * (there[1] / there[2] - d[1])
                motion[t, row, column, 2] = there[2] - nearest
    elif later:
        # Not by `and`, which reads both sides: there is no motion of the last frame.
        if motion_valid[t, row, column]:
            x = float(column) + 0.5 + motion[t, row, column, 0]
            y = float(row) + 0.5 + motion[t, row, column, 1]
            landing = depth[t, row, column] + motion[t, row, column, 2]
            for n in range(air.clouds.shape[0]):
                if half_absorbed(air, n, t + 1, ray_through(camera, x, y), landing) < landing:
                    motion_valid[t, row, column] = False


@wp.func
def _drift(air: Air, n: int, t: int, here: wp.vec3) -> wp.vec3:
    """Where the gas of volume n at a point of frame t is at t + 1, in the axes of that frame's camera."""
    cloud = air.clouds[n]
    place = air.places[t, n]
    p = place.rotation * here + place.translation
    q = p / cloud.cell
    i = wp.clamp(int(q[0]), 0, cloud.count[0] - 1)
    j = wp.clamp(int(q[1]), 0, cloud.count[1] - 1)
    k = wp.clamp(int(q[2]), 0, cloud.count[2] - 1)
    cell = cells_before(cloud, t) + (i * cloud.count[1] + j) * cloud.count[2] + k
    after = air.places[t + 1, n]
    return wp.transpose(after.rotation) * (p + air.velocity[cell] - after.translation)


@wp.kernel
def smoke_hides_points(air: Air, points: wp.array2d[wp.vec3], visible: wp.array2d[wp.bool]):
    """Take from the visible points those of which volumes absorb more than half."""
    t, k = wp.tid()
    if visible[t, k]:
        for n in range(air.clouds.shape[0]):
            if half_absorbed(air, n, t, points[t, k], 1.0) < 1.0:
                visible[t, k] = False
