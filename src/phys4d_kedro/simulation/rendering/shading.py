"""What a surface shows: its textured colour, the light on it, its reflections, and the haze before it (Warp)."""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, PLR0917

import warp as wp

from phys4d_kedro.simulation.rendering.air import Air
from phys4d_kedro.simulation.rendering.lighting import Light, highlight, sky, surroundings
from phys4d_kedro.simulation.rendering.shapes import Hit, Look, Solid, normal_of
from phys4d_kedro.simulation.rendering.textures import PLAIN, hash_bits, texture_weight
from phys4d_kedro.simulation.rendering.tracing import Placement, World


@wp.struct
class Lit:
    """A point of a surface, in camera axes, on the side that is seen: where it is and which way it looks (`facing` is
    the normal of the geometry, `normal` that of the shading, `outwards` whether they point out of the body); its
    colour; the light that reaches it (`sun` counts its slope); the share `mirror` that it reflects, and how clearly."""

    point: wp.vec3
    facing: wp.vec3
    normal: wp.vec3
    outwards: wp.bool
    albedo: wp.vec3
    sun: float
    sky: float
    mirror: float
    clearness: float


@wp.func
def _mix(
    world: World, t: int, look: Look, solid: Solid, hit: Hit, p: wp.vec3, flat: wp.vec3, across: wp.vec3, down: wp.vec3
) -> float:
    """Share of the second colour at p; `across`, `down` span the pixel's footprint; all in the frame of the shape."""
    if look.texture == PLAIN and solid.deforms == 0:
        return 0.0
    q = p
    normal = flat
    x = across
    y = down
    if solid.deforms == 1:
        skin = world.skins[t, hit.body]
        a = wp.mesh_get_index(solid.mesh, 3 * hit.face)
        b = wp.mesh_get_index(solid.mesh, 3 * hit.face + 1)
        c = wp.mesh_get_index(solid.mesh, 3 * hit.face + 2)
        rest = 1.0 - hit.u - hit.v
        if skin.shades >= 0:
            mixed = hit.u * world.shades[skin.shades + a] + hit.v * world.shades[skin.shades + b]
            return mixed + rest * world.shades[skin.shades + c]
        if skin.rest >= 0:
            # The triangle's affine map from where it is to where it takes its texture from carries the footprint too.
            corner = world.rests[skin.rest + c]
            to_a = world.rests[skin.rest + a] - corner
            to_b = world.rests[skin.rest + b] - corner
            here = wp.mesh_get_point(solid.mesh, 3 * hit.face + 2)
            side_a = wp.mesh_get_point(solid.mesh, 3 * hit.face) - here
            side_b = wp.mesh_get_point(solid.mesh, 3 * hit.face + 1) - here
            area = wp.cross(side_a, side_b)
            size = wp.max(wp.dot(area, area), 1.0e-30)
            along_a = wp.cross(side_b, area) / size
            along_b = wp.cross(area, side_a) / size
            q = corner + hit.u * to_a + hit.v * to_b
            normal = wp.normalize(wp.cross(to_a, to_b))
            x = wp.dot(along_a, across) * to_a + wp.dot(along_b, across) * to_b
            y = wp.dot(along_a, down) * to_a + wp.dot(along_b, down) * to_b
    width = wp.abs(x) + wp.abs(y)
    return texture_weight(look.texture, look.frequency * q, normal, look.frequency * width)


@wp.func
def footprint(d: wp.vec3, length: float, facing: wp.vec3, axis: wp.vec3, size: float) -> wp.vec3:
    """How the hit of a ray moves on the tangent plane as the ray moves by a pixel, `size` wide along `axis`. `facing`
    is the unit normal, against d."""
    slant = wp.min(wp.dot(d, facing), -0.05 * length)
    return size * (axis - (wp.dot(axis, facing) / slant) * d)


@wp.func
def reflect(lit: Lit, look: Look, d: wp.vec3) -> Lit:
    """Complete a surface by what it reflects along the unit direction d."""
    # Schlick's approximation of the mirror reflectance; a rough surface gains less at grazing angles.
    grazing = 1.0 + wp.clamp(wp.dot(lit.normal, d), -1.0, 0.0)
    smoothness = 1.0 - look.roughness
    rise = grazing * grazing * grazing * grazing * grazing
    lit.mirror = look.specular + wp.max(smoothness * smoothness - look.specular, 0.0) * rise
    lit.clearness = 0.15 + 0.85 * smoothness
    return lit


@wp.func
def light_surface(
    world: World,
    rays: wp.array[wp.vec4],
    t: int,
    near: wp.array[wp.int16],
    light: Light,
    hit: Hit,
    o: wp.vec3,
    d: wp.vec3,
    right: wp.vec3,
    below: wp.vec3,
    pixel: wp.vec2,
    count: int,
    key: wp.uint32,
) -> Lit:
    """The surface that a ray from o along d hits. A pixel is, at the hit, `pixel` wide along `right` and `below`."""
    length = wp.length(d)
    place = world.places[t, hit.body]
    solid = world.solids[t, hit.body]
    look = world.looks[hit.body]
    lit = Lit()
    point = o + hit.distance * d
    p = place.rotation * point + place.translation
    flat = normal_of(solid, p, hit)
    lit.outwards = True
    if wp.dot(flat, place.rotation * d) > 0.0:
        flat = -flat
        lit.outwards = False
    n = flat
    if solid.smooth == 1:
        n = wp.normalize(wp.mesh_eval_velocity(solid.mesh, hit.face, hit.u, hit.v))
        if wp.dot(n, flat) < 0.0:
            n = -n
    back = wp.transpose(place.rotation)
    normal = back * n
    facing = back * flat
    across = footprint(d, length, facing, right, pixel[0])
    down = footprint(d, length, facing, below, pixel[1])
    weight = _mix(world, t, look, solid, hit, p, flat, place.rotation * across, place.rotation * down)
    lit.albedo = wp.lerp(look.colour, look.second_colour, weight)
    if solid.convex == 0:
        point = point + (1.0e-3 * hit.distance) * facing
    shares = surroundings(world, rays, t, near, light, point, facing, across, down, hit.body, count, key)
    lit.point = point
    lit.facing = facing
    lit.normal = normal
    lit.sun = shares[0] * wp.max(wp.dot(normal, light.sun), 0.0)
    lit.sky = shares[1]
    return reflect(lit, look, d / length)


@wp.func
def gradient_light(light: Light, normal: wp.vec3, share: float) -> wp.vec3:
    """Light of the `share` of the gradient sky on a surface, as the radiance of a white one."""
    upward = 0.5 + 0.5 * wp.dot(normal, light.up)
    return wp.lerp(light.ground, 0.5 * (light.zenith + light.horizon), upward) * (light.ambient * share)


@wp.func
def mirrored(normal: wp.vec3, d: wp.vec3) -> wp.vec3:
    """Direction of a ray along the unit direction d after a mirror."""
    view = -d
    return 2.0 * wp.dot(normal, view) * normal - view


@wp.func
def scattered(lit: Lit, light: Light, ambient: wp.vec3) -> wp.vec3:
    """Light that a surface scatters, `ambient` being what comes from the sky."""
    return wp.cw_mul(lit.albedo, lit.sun * light.sun_colour + ambient) * (1.0 - lit.mirror)


@wp.func
def glossy(lit: Lit, light: Light, d: wp.vec3, specular: float, roughness: float) -> wp.vec3:
    """The sun's highlight, seen along the unit direction d."""
    if lit.sun <= 0.0:
        return wp.vec3(0.0)
    return (lit.sun * specular * highlight(light, lit.normal, -d, roughness)) * light.sun_colour


@wp.func
def _seen(lit: Lit, look: Look, light: Light, d: wp.vec3, reach: float) -> wp.vec3:
    """What a ray along the unit direction d shows of a surface `reach` metres away, in clear air under a gradient."""
    seen = scattered(lit, light, gradient_light(light, lit.normal, lit.sky))
    seen += sky(light, mirrored(lit.normal, d)) * (lit.sky * lit.mirror * lit.clearness)
    seen += glossy(lit, light, d, look.specular, look.roughness)
    return wp.lerp(light.horizon, seen, wp.exp(-reach * light.haze))


@wp.func
def shade(
    world: World,
    air: Air,
    rays: wp.array[wp.vec4],
    t: int,
    near: wp.array[wp.int16],
    light: Light,
    hit: Hit,
    d: wp.vec3,
    pixel: wp.vec2,
    count: int,
    key: wp.uint32,
) -> wp.vec3:
    """Linear colour of what a ray along d = (x, y, 1) sees where nothing sends rays on and the air is clear. `pixel` is
    the size, at depth 1, of what it stands for."""
    length = wp.length(d)
    if hit.body < 0:
        return sky(light, d / length)
    right = wp.vec3(1.0, 0.0, 0.0)
    below = wp.vec3(0.0, 1.0, 0.0)
    size = hit.distance * pixel
    lit = light_surface(world, rays, t, near, light, hit, wp.vec3(0.0), d, right, below, size, count, key)
    return _seen(lit, world.looks[hit.body], light, d / length, hit.distance * length)


@wp.func
def shade_backdrop(look: Look, place: Placement, light: Light, distance: float, d: wp.vec3, pixel: wp.vec2) -> wp.vec3:
    """The same of a plane with nothing near it, at the depth `distance`."""
    length = wp.length(d)
    p = place.rotation * (distance * d) + place.translation
    flat = wp.vec3(0.0, 0.0, 1.0)
    if wp.dot(flat, place.rotation * d) > 0.0:
        flat = -flat
    lit = Lit()
    lit.normal = wp.transpose(place.rotation) * flat
    weight = float(0.0)
    if look.texture != PLAIN:
        size = distance * pixel
        across = place.rotation * footprint(d, length, lit.normal, wp.vec3(1.0, 0.0, 0.0), size[0])
        down = place.rotation * footprint(d, length, lit.normal, wp.vec3(0.0, 1.0, 0.0), size[1])
        width = wp.abs(across) + wp.abs(down)
        weight = texture_weight(look.texture, look.frequency * p, flat, look.frequency * width)
    lit.albedo = wp.lerp(look.colour, look.second_colour, weight)
    lit.sun = wp.max(wp.dot(lit.normal, light.sun), 0.0)
    lit.sky = 1.0
    return _seen(reflect(lit, look, d / length), look, light, d / length, distance * length)


@wp.func
def pixel_key(seed: wp.uint32, row: int, column: int) -> wp.uint32:
    """Random bits of a pixel: a function of the seed and its place alone, so that still things look still."""
    return hash_bits(seed ^ hash_bits(wp.uint32(row) ^ hash_bits(wp.uint32(column))))
