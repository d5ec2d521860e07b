"""Paths of light over mirrors and through glass, past smoke, to bodies or a panorama (Warp).

Glass: reflectance is Fresnel's for unpolarised light, direction Snell's, absorption Beer's and Lambert's. At each
surface of glass both the reflected and the refracted ray are followed, as far as they carry light.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, PLR0917, PLR0912, PLR0915

import warp as wp

from phys4d_kedro.simulation.rendering.air import Air, look_around, look_through, panorama_light, smoke_shadow
from phys4d_kedro.simulation.rendering.lighting import Light
from phys4d_kedro.simulation.rendering.shading import (
    Lit,
    glossy,
    gradient_light,
    light_surface,
    mirrored,
    scattered,
)
from phys4d_kedro.simulation.rendering.shapes import Hit, Look
from phys4d_kedro.simulation.rendering.textures import hash_unit
from phys4d_kedro.simulation.rendering.tracing import World, trace

# Times that a ray is bent or mirrored, and straight pieces of all rays of a path.
MOST_BOUNCES = wp.constant(4)
MOST_PIECES = wp.constant(12)
# A reflection on glass that carries less than this share of the light is taken from the sky alone.
FAINT = wp.constant(0.02)


@wp.struct
class Ray:
    """A piece of a path: origin, direction (any length); the axes of the pixel's footprint; the light it carries; the
    body in whose glass it is (-1: none), how often it was bent or mirrored, and its way from the camera in metres."""

    o: wp.vec3
    d: wp.vec3
    right: wp.vec3
    below: wp.vec3
    weight: wp.vec3
    inside: wp.int32
    bounces: wp.int32
    way: float


@wp.struct
class Glass:
    """Where a ray meets glass: refractive index behind it over that before it, cosine, reflectance."""

    ratio: float
    cosine: float
    reflectance: float


@wp.func
def fresnel(cosine: float, ratio: float) -> float:
    """Reflectance of unpolarised light where it meets a surface at this cosine; `ratio` is the refractive index behind
    it over that before it."""
    inside = ratio * ratio - (1.0 - cosine * cosine)
    if inside <= 0.0:
        return 1.0
    bent = wp.sqrt(inside)
    across = (cosine - bent) / (cosine + bent)
    along = (bent - ratio * ratio * cosine) / (bent + ratio * ratio * cosine)
    return 0.5 * (across * across + along * along)


@wp.func
def refracted(d: wp.vec3, normal: wp.vec3, cosine: float, ratio: float) -> wp.vec3:
    """Unit direction behind a surface; `normal` against d, `cosine` between them, `ratio` as above."""
    bent = wp.sqrt(wp.max(ratio * ratio - (1.0 - cosine * cosine), 0.0))
    return wp.normalize(d + (cosine - bent) * normal)


@wp.func
def _tint(look: Look, way: float) -> wp.vec3:
    """Share of light left after `way` metres of glass."""
    depths = way / look.clarity
    return wp.vec3(wp.pow(look.colour[0], depths), wp.pow(look.colour[1], depths), wp.pow(look.colour[2], depths))


@wp.func
def _ambient(air: Air, light: Light, normal: wp.vec3, share: float) -> wp.vec3:
    """Light of the sky on a surface, as the radiance of a white one."""
    if air.panorama.shape[0] == 0:
        return gradient_light(light, normal, share)
    return (share * light.ambient) * panorama_light(air, light.to_world * normal)


@wp.func
def _environment(air: Air, light: Light, d: wp.vec3, roughness: float) -> wp.vec3:
    """What a surface reflects of the sky; a rough one, of a panorama, what comes from all around d."""
    clear = look_around(air, light, d)
    if air.panorama.shape[0] == 0:
        return clear
    return wp.lerp(clear, panorama_light(air, light.to_world * d), wp.min(2.0 * roughness, 1.0))


@wp.func
def _meet(look: Look, lit: Lit, d: wp.vec3, normal: wp.vec3) -> Glass:
    glass = Glass()
    glass.ratio = look.refractive_index
    if not lit.outwards:
        glass.ratio = 1.0 / look.refractive_index
    glass.cosine = wp.clamp(-wp.dot(d, normal), 0.0, 1.0)
    glass.reflectance = fresnel(glass.cosine, glass.ratio)
    if look.refractive_index == 1.0 and look.specular > 0.0:
        # A pane mirrors as the glass does that it stands for (Schlick's approximation), but bends nothing.
        grazing = 1.0 - glass.cosine
        rise = grazing * grazing * grazing * grazing * grazing
        glass.reflectance = look.specular + (1.0 - look.specular) * rise
    return glass


@wp.func
def _reflected(ray: Ray, d: wp.vec3, normal: wp.vec3, point: wp.vec3, weight: wp.vec3) -> Ray:
    """The ray after a mirror, from `point` on."""
    after = ray
    after.o = point
    after.d = mirrored(normal, d)
    after.right = mirrored(normal, ray.right)
    after.below = mirrored(normal, ray.below)
    after.weight = weight
    after.bounces = ray.bounces + 1
    return after


@wp.func
def _refracted(
    ray: Ray, d: wp.vec3, normal: wp.vec3, point: wp.vec3, weight: wp.vec3, glass: Glass, inside: int
) -> Ray:
    """The ray behind a surface of glass, from `point` on."""
    after = ray
    after.o = point
    after.d = refracted(d, normal, glass.cosine, glass.ratio)
    after.weight = weight
    after.bounces = ray.bounces + 1
    after.inside = inside
    return after


@wp.func
def follow(
    world: World,
    air: Air,
    rays: wp.array[wp.vec4],
    t: int,
    near: wp.array[wp.int16],
    light: Light,
    first: Hit,
    view: wp.vec3,
    pixel: wp.vec2,
    count: int,
    key: wp.uint32,
) -> wp.vec3:
    """Linear colour of what a ray along view = (x, y, 1) sees, `first` being its hit. `pixel` is the size, at depth 1,
    of what it stands for; mirrors turn the axes of its footprint, but do not focus it."""
    total = wp.vec3(0.0)
    ray = Ray()
    ray.d = view
    ray.right = wp.vec3(1.0, 0.0, 0.0)
    ray.below = wp.vec3(0.0, 1.0, 0.0)
    ray.weight = wp.vec3(1.0)
    ray.inside = -1
    # Reflections on glass that are yet to be followed.
    waiting = int(0)
    second = Ray()
    third = Ray()
    done = bool(False)
    hit = first
    size = first.distance * pixel
    company = near
    offset = hash_unit(key + wp.uint32(1))
    for piece in range(MOST_PIECES):
        if done:
            if waiting == 0:
                break
            ray = second
            second = third
            waiting -= 1
            done = False
        if piece > 0:
            hit = trace(world, t, world.everything, ray.o, ray.d)
        length = wp.length(ray.d)
        d = ray.d / length
        smoke = look_through(air, t, light, ray.o, ray.d, hit.distance, offset)
        total += wp.cw_mul(ray.weight, wp.vec3(smoke[0], smoke[1], smoke[2]))
        ray.weight = ray.weight * smoke[3]
        if hit.body < 0:
            total += wp.cw_mul(ray.weight, look_around(air, light, d))
            done = True
            continue
        reach = hit.distance * length
        ray.way = ray.way + reach
        if piece > 0:
            size = (ray.way / wp.length(view)) * pixel
            company = world.opaque
        if ray.inside >= 0:
            ray.weight = wp.cw_mul(ray.weight, _tint(world.looks[ray.inside], reach))
        lit = light_surface(world, rays, t, company, light, hit, ray.o, ray.d, ray.right, ray.below, size, count, key)
        if lit.sun > 0.0:
            lit.sun = lit.sun * smoke_shadow(air, t, lit.point, light)
        clear = wp.exp(-reach * light.haze)
        total += (1.0 - clear) * wp.cw_mul(ray.weight, light.horizon)
        ray.weight = ray.weight * clear
        look = world.looks[hit.body]
        normal = lit.normal
        if wp.dot(mirrored(normal, d), lit.facing) <= 0.0:
            normal = lit.facing
        diffuse = scattered(lit, light, _ambient(air, light, lit.normal, lit.sky))
        point = ray.o + hit.distance * ray.d
        # float32 keeps about seven digits: off the surface by more than their error.
        off = (1.0e-4 * ray.way) * lit.facing
        last = ray.bounces >= MOST_BOUNCES
        if look.transmission > 0.0:
            glass = _meet(look, lit, d, normal)
            own = ((1.0 - glass.reflectance) * (1.0 - look.transmission)) * diffuse
            inside = int(-1)
            if lit.outwards:
                inside = hit.body
                own += glossy(lit, light, d, fresnel(1.0, glass.ratio), look.roughness)
            total += wp.cw_mul(ray.weight, own)
            echo = _reflected(ray, d, normal, point + off, glass.reflectance * ray.weight)
            if last or wp.max(echo.weight) < FAINT or waiting == 2:
                total += wp.cw_mul(echo.weight, look_around(air, light, echo.d))
            else:
                third = second
                second = echo
                waiting += 1
            passed = ((1.0 - glass.reflectance) * look.transmission) * ray.weight
            ray = _refracted(ray, d, normal, point - off, passed, glass, inside)
            if last:
                total += wp.cw_mul(ray.weight, look_around(air, light, ray.d))
            done = last or wp.max(ray.weight) < 1.0e-3
        else:
            own = diffuse + glossy(lit, light, d, look.specular, look.roughness)
            share = lit.mirror * lit.clearness
            after = _reflected(ray, d, normal, point + off, share * ray.weight)
            if look.mirror == 0 or last:
                own += (lit.sky * share) * _environment(air, light, after.d, look.roughness)
                done = True
            total += wp.cw_mul(ray.weight, own)
            ray = after
    return total
