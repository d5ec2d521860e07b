"""Material point method, one substep: particles to grid, motion on the grid, grid to particles (Warp).

MLS-MPM with affine transfer (Hu et al. 2018, A Moving Least Squares Material Point Method with Displacement
Discontinuity and Two-Way Rigid Body Coupling), quadratic B-splines. Letters: p a particle, n a node, C the gradient of
velocity.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, PLR0917

import warp as wp

from phys4d_kedro.simulation.solvers.matter_contact import (
    Bodies,
    behind_wall,
    beyond_faces,
    candidate,
    candidates,
    push,
    resist,
    slide,
    velocity_of,
    way_out,
)
from phys4d_kedro.simulation.solvers.matter_laws import LIQUID, Law, Particles, stress_of

wp.set_module_options({"enable_backward": False})

# Time of birth of what has left the domain.
GONE = wp.constant(1.0e30)


@wp.struct
class Grid:
    """Nodes at `origin` + `spacing` times their index. `motion` holds momentum and mass, then velocity and mass;
    `shares` volume, then friction, kinematic viscosity and J of liquids, each times mass; `heat` temperature times
    mass, and mass, then temperature (negative: no matter) and that of a hot body at the node (0: none); `heating` is
    the Laplacian of temperature (K/m^2)."""

    origin: wp.vec3
    count: wp.vec3i
    spacing: float
    motion: wp.array[wp.vec4]
    shares: wp.array[wp.vec4]
    heat: wp.array[wp.vec2]
    heating: wp.array[float]


@wp.func
def _spline(f: float) -> wp.vec3:
    """Weights of three nodes for a point `f` cells after the first, 0.5 <= f <= 1.5."""
    return wp.vec3(0.5 * (1.5 - f) * (1.5 - f), 0.75 - (f - 1.0) * (f - 1.0), 0.5 * (f - 0.5) * (f - 0.5))


@wp.func
def _index(grid: Grid, i: int, j: int, k: int) -> int:
    return (i * grid.count[1] + j) * grid.count[2] + k


@wp.kernel
def scatter(time: float, dt: float, heated: int, laws: wp.array[Law], particles: Particles, grid: Grid):
    """Particles give their momentum, and that of their stress over `dt`, to the 27 nodes around them."""
    p = wp.tid()
    if particles.birth[p] > time:
        return
    law = laws[particles.matter[p]]
    x = (particles.position[p] - grid.origin) / grid.spacing
    i0 = int(x[0] - 0.5)
    j0 = int(x[1] - 0.5)
    k0 = int(x[2] - 0.5)
    f = x - wp.vec3(float(i0), float(j0), float(k0))
    wx = _spline(f[0])
    wy = _spline(f[1])
    wz = _spline(f[2])
    volume = particles.volume[p]
    mass = volume * law.density
    affine = (mass * particles.gradient[p] - dt * particles.stress[p]) * grid.spacing
    start = mass * particles.velocity[p] - affine * f
    liquid = law.kind == LIQUID or particles.melted[p] != 0
    swell = float(1.0)
    viscosity = float(0.0)
    if liquid:
        swell = particles.swell[p]
        viscosity = law.viscosity / law.density
    share = wp.vec4(volume, mass * law.wall_friction, mass * viscosity, mass * swell)
    for i in range(3):
        for j in range(3):
            weight = wx[i] * wy[j]
            column = start + affine * wp.vec3(float(i), float(j), 0.0)
            n = _index(grid, i0 + i, j0 + j, k0)
            for k in range(3):
                w = weight * wz[k]
                q = column + float(k) * wp.vec3(affine[0, 2], affine[1, 2], affine[2, 2])
                wp.atomic_add(grid.motion, n + k, w * wp.vec4(q[0], q[1], q[2], mass))
                wp.atomic_add(grid.shares, n + k, w * share)
                if heated != 0 and law.melting > 0.0:
                    wp.atomic_add(grid.heat, n + k, w * mass * wp.vec2(particles.temperature[p], 1.0))


@wp.kernel
def move_grid(
    dt: float,
    gravity: float,
    ground: int,
    heated: int,
    bodies: Bodies,
    grid: Grid,
    impulses: wp.array[wp.spatial_vector],
):
    """Gravity, bodies, ground."""
    n = wp.tid()
    motion = grid.motion[n]
    mass = motion[3]
    if mass <= 0.0:
        if heated != 0:
            grid.heat[n] = wp.vec2(-1.0, 0.0)
        return
    k = n % grid.count[2]
    j = (n / grid.count[2]) % grid.count[1]
    i = n / (grid.count[2] * grid.count[1])
    position = grid.origin + grid.spacing * wp.vec3(float(i), float(j), float(k))
    velocity = wp.vec3(motion[0], motion[1], motion[2]) / mass - wp.vec3(0.0, 0.0, dt * gravity)
    friction = grid.shares[n][1] / mass
    # Over half a cell, the shear stress of a no-slip wall.
    drag = 2.0 * dt * grid.shares[n][2] / (mass * grid.spacing * grid.spacing)
    hot = float(0.0)
    filled = float(0.0)
    for c in range(candidates(bodies, n)):
        s = candidate(bodies, n, c)
        solid = bodies.solids[s]
        place = bodies.places[s]
        p = wp.transpose(place.rotation) * (position - place.position)
        beyond = beyond_faces(solid, p)
        nearest = wp.max(beyond)
        if nearest > 1.5 * grid.spacing:
            continue
        share = float(1.0)
        for face in range(3):
            share *= behind_wall(beyond[face], grid.spacing)
        filled += share
        before = velocity - velocity_of(place, position)
        after = resist(solid, place, p, before, grid.spacing, wp.sqrt(friction * solid.friction), drag)
        change = after - before
        if wp.length_sq(change) > 0.0:
            push(impulses, place, solid.body, position, -mass * change)
            velocity += change
        if nearest < solid.reach:
            hot = wp.max(hot, solid.temperature)
    if ground != 0:
        filled += behind_wall(position[2], grid.spacing)
    grid.shares[n][0] += wp.min(filled, 1.0) * grid.spacing * grid.spacing * grid.spacing
    if ground != 0 and position[2] < 0.5 * grid.spacing:
        velocity = slide(velocity, wp.vec3(0.0, 0.0, 1.0), friction, drag)
    grid.motion[n] = wp.vec4(velocity[0], velocity[1], velocity[2], mass)
    if heated != 0:
        heat = grid.heat[n]
        if heat[1] > 0.0:
            grid.heat[n] = wp.vec2(heat[0] / heat[1], hot)
        else:
            grid.heat[n] = wp.vec2(-1.0, hot)


@wp.func
def _step_of_heat(grid: Grid, n: int, here: float) -> float:
    """Difference to a neighbour; none where there is nothing to conduct to."""
    heat = grid.heat[n]
    if heat[1] > 0.0:
        return heat[1] - here
    if heat[0] < 0.0:
        return 0.0
    return heat[0] - here


@wp.kernel
def conduct(grid: Grid):
    """Laplacian of temperature at the nodes that have any; those in a hot body take up its heat over a cell."""
    n = wp.tid()
    heat = grid.heat[n]
    here = heat[0]
    total = float(0.0)
    if here >= 0.0:
        if heat[1] > 0.0:
            total = 2.0 * (heat[1] - here)
        else:
            row = grid.count[2]
            sheet = grid.count[1] * grid.count[2]
            total = _step_of_heat(grid, n - 1, here) + _step_of_heat(grid, n + 1, here)
            total += _step_of_heat(grid, n - row, here) + _step_of_heat(grid, n + row, here)
            total += _step_of_heat(grid, n - sheet, here) + _step_of_heat(grid, n + sheet, here)
    grid.heating[n] = total / (grid.spacing * grid.spacing)


@wp.func
def _move(
    p: int,
    dt: float,
    velocity: wp.vec3,
    ground: int,
    lower: wp.vec3,
    upper: wp.vec3,
    mass: float,
    bodies: Bodies,
    nearest: int,
    particles: Particles,
    impulses: wp.array[wp.spatial_vector],
):
    """Move a particle, whose `nearest` node is given; what has got into a body is put back on its surface, what leaves
    the domain is gone."""
    position = particles.position[p] + dt * velocity
    for c in range(candidates(bodies, nearest)):
        s = candidate(bodies, nearest, c)
        solid = bodies.solids[s]
        place = bodies.places[s]
        way = place.rotation * way_out(solid, wp.transpose(place.rotation) * (position - place.position))
        depth = wp.length(way)
        if depth > 0.0:
            normal = way / depth
            change = wp.max(-wp.dot(velocity - velocity_of(place, position), normal), 0.0) * normal
            push(impulses, place, solid.body, position, -mass * change)
            velocity += change
            position += way
    if ground != 0 and position[2] < 0.0:
        position[2] = 0.0
        velocity[2] = wp.max(velocity[2], 0.0)
    particles.position[p] = position
    particles.velocity[p] = velocity
    for k in range(3):
        # Written so that what is not a number leaves too.
        if not (position[k] > lower[k] and position[k] < upper[k]):
            particles.birth[p] = GONE


@wp.kernel
def gather(
    time: float,
    dt: float,
    ground: int,
    heated: int,
    lower: wp.vec3,
    upper: wp.vec3,
    laws: wp.array[Law],
    bodies: Bodies,
    particles: Particles,
    grid: Grid,
    impulses: wp.array[wp.spatial_vector],
):
    """Particles take velocity and its gradient from the grid, move, and answer to their deformation."""
    p = wp.tid()
    if particles.birth[p] > time:
        return
    law = laws[particles.matter[p]]
    position = particles.position[p]
    x = (position - grid.origin) / grid.spacing
    i0 = int(x[0] - 0.5)
    j0 = int(x[1] - 0.5)
    k0 = int(x[2] - 0.5)
    f = x - wp.vec3(float(i0), float(j0), float(k0))
    wx = _spline(f[0])
    wy = _spline(f[1])
    wz = _spline(f[2])
    velocity = wp.vec3(0.0)
    C = wp.mat33(0.0)
    crowding = float(0.0)
    swell = float(0.0)
    heating = float(0.0)
    for i in range(3):
        for j in range(3):
            weight = wx[i] * wy[j]
            n = _index(grid, i0 + i, j0 + j, k0)
            for k in range(3):
                w = weight * wz[k]
                motion = grid.motion[n + k]
                v = w * wp.vec3(motion[0], motion[1], motion[2])
                velocity += v
                C += wp.outer(v, wp.vec3(float(i), float(j), float(k)) - f)
                share = grid.shares[n + k]
                crowding += w * share[0]
                if motion[3] > 0.0:
                    swell += w * share[3] / motion[3]
                if heated != 0:
                    heating += w * grid.heating[n + k]
    C = (4.0 / grid.spacing) * C
    crowding /= grid.spacing * grid.spacing * grid.spacing
    if heated != 0 and law.melting > 0.0:
        particles.temperature[p] += dt * law.diffusivity * heating
    particles.gradient[p] = C

    volume = particles.volume[p]
    stress = stress_of(law, particles, p, dt, C, crowding, swell)
    particles.stress[p] = (4.0 * volume / (grid.spacing * grid.spacing)) * stress
    nearest = _index(grid, int(x[0] + 0.5), int(x[1] + 0.5), int(x[2] + 0.5))
    _move(p, dt, velocity, ground, lower, upper, volume * law.density, bodies, nearest, particles, impulses)
