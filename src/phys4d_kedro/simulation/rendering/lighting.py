"""Light on a surface: a sun with soft shadows, a sky dimmed by what stands near, highlights (Warp).

All directions are in the axes of the camera. Colours are linear. Shadows are sampled: each ray goes from its own point
of the pixel's footprint to its own point of the sun's disc, so one set of rays gives both the penumbra and the
anti-aliased edge of a hard shadow. Sky light is dimmed without sampling, hence without noise, by the distances to the
bodies at a few steps along the normal.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, PLR0917

import warp as wp

from phys4d_kedro.simulation.rendering.shapes import MISS, PLANE, Solid, distance_to, hits, may_hit
from phys4d_kedro.simulation.rendering.textures import hash_unit
from phys4d_kedro.simulation.rendering.tracing import Placement, World

# Steps along the normal, in metres, at which nearness of bodies dims the sky, and how much of it they can take.
FIRST_STEP = wp.constant(0.04)
STEPS = wp.constant(3)
REACH = wp.constant(0.36)
DIMMING = wp.constant(0.75)
# When the first few rays towards the sun agree about a body, the others are not sent.
SCOUTS = wp.constant(5)
ALL = wp.constant(wp.uint32(0xFFFFFFFF))


@wp.struct
class Light:
    """Sun and sky in the camera axes of a frame. `sun_x`, `sun_y` span the sun's disc, with its tangent as length;
    `to_world` turns camera axes into world axes."""

    up: wp.vec3
    sun: wp.vec3
    sun_x: wp.vec3
    sun_y: wp.vec3
    sun_spread: float
    sun_colour: wp.vec3
    zenith: wp.vec3
    horizon: wp.vec3
    ground: wp.vec3
    ambient: float
    haze: float
    to_world: wp.mat33


@wp.func
def sky(light: Light, direction: wp.vec3) -> wp.vec3:
    """Colour of the sky in a unit direction; below the horizon that of the horizon."""
    height = wp.max(wp.dot(direction, light.up), 0.0)
    return wp.lerp(light.horizon, light.zenith, wp.sqrt(height))


@wp.func
def _sun_rays_blocked(
    solid: Solid,
    place: Placement,
    light: Light,
    rays: wp.array[wp.vec4],
    point: wp.vec3,
    across: wp.vec3,
    down: wp.vec3,
    count: int,
    turn: wp.vec2,
) -> wp.uint32:
    """Bits of the first `count` rays that the body blocks: each starts at its own place of the footprint (`point` +-
    half of `across`, `down`) and ends at its own place of the sun's disc, turned by `turn` (cosine, sine)."""
    c = turn[0]
    s = turn[1]
    o = place.rotation * point + place.translation
    o_x = place.rotation * across
    o_y = place.rotation * down
    d = place.rotation * light.sun
    d_x = place.rotation * (c * light.sun_x + s * light.sun_y)
    d_y = place.rotation * (c * light.sun_y - s * light.sun_x)
    scouts = (wp.uint32(1) << wp.uint32(SCOUTS)) - wp.uint32(1)
    blocked = wp.uint32(0)
    for k in range(count):
        if k == SCOUTS:
            if blocked == wp.uint32(0):
                return blocked
            if blocked == scouts:
                return ALL
        ray = rays[k]
        if hits(solid, o + ray[0] * o_x + ray[1] * o_y, d + ray[2] * d_x + ray[3] * d_y, MISS):
            blocked = blocked | (wp.uint32(1) << wp.uint32(k))
    return blocked


@wp.func
def _nearness(
    solid: Solid, place: Placement, fields: wp.array[float], point: wp.vec3, normal: wp.vec3, mine: bool
) -> float:
    """How much a body crowds a point, in [0, 1]: 1 where it fills the way along the normal. On the body itself (`mine`)
    the first step is left out, as the grid of distances is too coarse to tell the surface from its neighbourhood."""
    o = place.rotation * point + place.translation
    n = place.rotation * normal
    near = float(0.0)
    step = float(FIRST_STEP)
    for k in range(STEPS):
        p = o + step * n
        if solid.kind == PLANE and o[2] * p[2] < 0.0:
            near += 1.0
        elif k > 0 or not mine:
            near += 1.0 - wp.min(distance_to(solid, fields, p) / step, 1.0)
        step = 3.0 * step
    return near / float(STEPS)


@wp.func
def _nearness_of_surface(solid: Solid, place: Placement, point: wp.vec3, normal: wp.vec3, mine: bool) -> float:
    """The same of a mesh that deforms, which has no grid: by its nearest points."""
    o = place.rotation * point + place.translation
    n = place.rotation * normal
    near = float(0.0)
    step = float(FIRST_STEP)
    if mine:
        step = 3.0 * step
    # Not a loop over STEPS, which Warp would unroll: large code slows down scenes that never come here.
    while step < 1.01 * REACH:
        p = o + step * n
        query = wp.mesh_query_point_no_sign(solid.mesh, p, step)
        if query.result:
            near += 1.0 - wp.length(wp.mesh_eval_position(solid.mesh, query.face, query.u, query.v) - p) / step
        step = 3.0 * step
    return near / float(STEPS)


@wp.func
def surroundings(
    world: World,
    rays: wp.array[wp.vec4],
    t: int,
    near: wp.array[wp.int16],
    light: Light,
    point: wp.vec3,
    normal: wp.vec3,
    across: wp.vec3,
    down: wp.vec3,
    own: int,
    count: int,
    key: wp.uint32,
) -> wp.vec2:
    """Shares of the sun and of the sky that reach a point past the bodies in `near`. A convex body neither shades nor
    crowds itself (`own`)."""
    blocked = wp.uint32(0)
    if wp.dot(normal, light.sun) <= 0.0:
        blocked = ALL
    margin = 0.5 * wp.length(wp.abs(across) + wp.abs(down))
    sky_share = float(1.0)
    turn = wp.vec2(0.0)
    for i in range(int(near[0])):
        b = int(near[i + 1])
        mine = b == own
        if mine and world.solids[t, b].convex == 1:
            continue
        ball = world.balls[t, b]
        towards = wp.vec3(ball[0], ball[1], ball[2]) - point
        square = wp.dot(towards, towards)
        reach = ball[3] + REACH
        if square < reach * reach:
            solid = world.solids[t, b]
            place = world.places[t, b]
            if solid.deforms == 1:
                sky_share *= 1.0 - DIMMING * _nearness_of_surface(solid, place, point, normal, mine)
            else:
                sky_share *= 1.0 - DIMMING * _nearness(solid, place, world.fields, point, normal, mine)
        along = wp.dot(towards, light.sun)
        widening = margin + light.sun_spread * (wp.max(along, 0.0) + ball[3])
        reach = ball[3] + widening
        if blocked != ALL and along > -reach and square - along * along < reach * reach:
            solid = world.solids[t, b]
            place = world.places[t, b]
            if may_hit(solid, place.rotation * point + place.translation, place.rotation * light.sun, widening):
                if turn[0] == 0.0 and turn[1] == 0.0:
                    angle = 6.2831853 * hash_unit(key)
                    turn = wp.vec2(wp.cos(angle), wp.sin(angle))
                blocked = blocked | _sun_rays_blocked(solid, place, light, rays, point, across, down, count, turn)
    sun_share = float(1.0)
    if blocked == ALL:
        sun_share = 0.0
    elif blocked != wp.uint32(0):
        for k in range(count):
            sun_share -= float((blocked >> wp.uint32(k)) & wp.uint32(1)) / float(count)
    return wp.vec2(sun_share, sky_share)


@wp.func
def highlight(light: Light, normal: wp.vec3, view: wp.vec3, roughness: float) -> float:
    """GGX distribution of the sun's mirror image, widened by the sun's own size (times pi / 4)."""
    half = wp.normalize(light.sun + view)
    alpha = roughness * roughness + 0.5 * light.sun_spread + 0.01
    a2 = alpha * alpha
    cosine = wp.max(wp.dot(normal, half), 0.0)
    base = cosine * cosine * (a2 - 1.0) + 1.0
    return 0.25 * a2 / (base * base)
