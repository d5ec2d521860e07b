"""Paths of light over mirrors and through glass, past smoke, to bodies or a panorama (Warp).

Glass: reflectance is Fresnel's for unpolarised light, direction Snell's, absorption Beer's and Lambert's. At each
surface of glass both the reflected and the refracted ray are followed, as far as they carry light.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, RUF046, PLR0917, PLR0912, PLR0915, SIM108

import warp as wp

from phys4d_kedro.simulation.rendering.air import Air, look_around, look_through, panorama_light, smoke_shadow
from phys4d_kedro.simulation.rendering.lighting import Light
from phys4d_kedro.simulation.rendering.shading import (
    glossy,
    gradient_light,
    light_surface,
    mirrored,
    scattered,
)
from phys4d_kedro.simulation.rendering.shapes import Hit, Look
from phys4d_kedro.simulation.rendering.textures import hash_unit
from phys4d_kedro.simulation.rendering.tracing import World, trace

# Times that a ray is bent or mirrored, straight pieces of all rays of a path, and rays that wait to be followed.
MOST_BOUNCES = wp.constant(4)
MOST_PIECES = wp.constant(12)
MOST_WAITING = wp.constant(3)
# A reflection on glass that carries less than this share of the light is taken from the sky alone.
FAINT = wp.constant(0.02)


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
    origins = wp.mat33(0.0)
    directions = wp.mat33(0.0)
    weights = wp.mat33(0.0)
    states = wp.mat33(0.0)
    rights = wp.mat33(0.0)
    belows = wp.mat33(0.0)
    waiting = int(0)
    done = bool(False)
    o = wp.vec3(0.0)
    d = view
    weight = wp.vec3(1.0)
    # The body whose glass the ray is in (-1: none), its bounces, and its way from the camera in metres.
    inside = int(-1)
    bounces = int(0)
    way = float(0.0)
    right = wp.vec3(1.0, 0.0, 0.0)
    below = wp.vec3(0.0, 1.0, 0.0)
    size = first.distance * pixel
    hit = first
    company = near
    offset = hash_unit(key + wp.uint32(1))
    for piece in range(MOST_PIECES):
        if done:
            if waiting == 0:
                break
            waiting -= 1
            o = origins[waiting]
            d = directions[waiting]
            weight = weights[waiting]
            state = states[waiting]
            right = rights[waiting]
            below = belows[waiting]
            inside = int(state[0])
            bounces = int(state[1])
            way = state[2]
            done = False
        if piece > 0:
            hit = trace(world, t, world.everything, o, d)
        length = wp.length(d)
        ray = d / length
        smoke = look_through(air, t, light, o, d, hit.distance, offset)
        total += wp.cw_mul(weight, wp.vec3(smoke[0], smoke[1], smoke[2]))
        weight = weight * smoke[3]
        if hit.body < 0:
            total += wp.cw_mul(weight, look_around(air, light, ray))
            done = True
            continue
        reach = hit.distance * length
        way += reach
        if piece > 0:
            size = (way / wp.length(view)) * pixel
            company = world.opaque
        if inside >= 0:
            weight = wp.cw_mul(weight, _tint(world.looks[inside], reach))
        lit = light_surface(world, rays, t, company, light, hit, o, d, right, below, size, count, key)
        if lit.sun > 0.0:
            lit.sun = lit.sun * smoke_shadow(air, t, lit.point, light)
        clear = wp.exp(-reach * light.haze)
        total += (1.0 - clear) * wp.cw_mul(weight, light.horizon)
        weight = weight * clear
        look = world.looks[hit.body]
        normal = lit.normal
        bounced = mirrored(normal, ray)
        if wp.dot(bounced, lit.facing) <= 0.0:
            normal = lit.facing
            bounced = mirrored(normal, ray)
        diffuse = scattered(lit, light, _ambient(air, light, lit.normal, lit.sky))
        point = o + hit.distance * d
        # float32 keeps about seven digits: off the surface by more than their error.
        off = (1.0e-4 * way) * lit.facing
        last = bounces >= MOST_BOUNCES
        bounces += 1
        if look.transmission > 0.0:
            ratio = look.refractive_index
            if not lit.outwards:
                ratio = 1.0 / ratio
            cosine = wp.clamp(-wp.dot(ray, normal), 0.0, 1.0)
            reflectance = fresnel(cosine, ratio)
            normal_share = (ratio - 1.0) / (ratio + 1.0)
            kept = (1.0 - reflectance) * (1.0 - look.transmission)
            own = kept * diffuse
            if lit.outwards:
                own += glossy(lit, light, ray, normal_share * normal_share, look.roughness)
            total += wp.cw_mul(weight, own)
            echo = reflectance * weight
            if last or wp.max(echo) < FAINT or waiting == MOST_WAITING:
                total += wp.cw_mul(echo, look_around(air, light, bounced))
            else:
                origins[waiting] = point + off
                directions[waiting] = bounced
                weights[waiting] = echo
                states[waiting] = wp.vec3(float(inside), float(bounces), way)
                rights[waiting] = mirrored(normal, right)
                belows[waiting] = mirrored(normal, below)
                waiting += 1
            weight = ((1.0 - reflectance) * look.transmission) * weight
            d = refracted(ray, normal, cosine, ratio)
            if last:
                total += wp.cw_mul(weight, look_around(air, light, d))
            done = last or wp.max(weight) < 1.0e-3
            o = point - off
            if lit.outwards:
                inside = hit.body
            else:
                inside = -1
        else:
            own = diffuse + glossy(lit, light, ray, look.specular, look.roughness)
            share = lit.mirror * lit.clearness
            if look.mirror == 0 or last:
                own += (lit.sky * share) * _environment(air, light, bounced, look.roughness)
                done = True
            total += wp.cw_mul(weight, own)
            weight = share * weight
            o = point + off
            d = bounced
            right = mirrored(normal, right)
            below = mirrored(normal, below)
    return total
