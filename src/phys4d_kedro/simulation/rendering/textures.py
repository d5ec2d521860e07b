"""Procedural textures, solid in the frame of the body, each filtered to the footprint of a pixel (Warp).

Every texture is a mixing weight in [0, 1] of a material's two colours at a point p, in periods of the texture. The
filter `width` is, for each axis, how far the pixel reaches along it, in periods: a pattern finer than a pixel fades
into its mean instead of aliasing.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: UP018, PLR0911

import warp as wp

from phys4d_kedro.simulation.rendering.materials import TEXTURE_KINDS

PLAIN = wp.constant(TEXTURE_KINDS.index("plain"))
CHECKER = wp.constant(TEXTURE_KINDS.index("checker"))
STRIPES = wp.constant(TEXTURE_KINDS.index("stripes"))
DOTS = wp.constant(TEXTURE_KINDS.index("dots"))
NOISE = wp.constant(TEXTURE_KINDS.index("noise"))
WOOD = wp.constant(TEXTURE_KINDS.index("wood"))
DOT_RADIUS = wp.constant(0.3)

MIX_1 = wp.constant(wp.uint32(0x7FEB352D))
MIX_2 = wp.constant(wp.uint32(0x846CA68B))
ALONG_X = wp.constant(wp.uint32(0x8DA6B343))
ALONG_Y = wp.constant(wp.uint32(0xD8163841))
ALONG_Z = wp.constant(wp.uint32(0xCB1AB31F))


@wp.func
def hash_bits(x: wp.uint32) -> wp.uint32:
    """Well-mixed bits of an integer (the finaliser `lowbias32`)."""
    x = (x ^ (x >> wp.uint32(16))) * MIX_1
    x = (x ^ (x >> wp.uint32(15))) * MIX_2
    return x ^ (x >> wp.uint32(16))


@wp.func
def hash_unit(x: wp.uint32) -> float:
    """A number in [0, 1) of an integer."""
    return float(hash_bits(x) >> wp.uint32(8)) * (1.0 / 16777216.0)


@wp.func
def _square_wave(x: float, width: float) -> float:
    """Mean over x +- width/2 of the wave that is +1 in the first half of each period and -1 in the second."""
    w = wp.max(width, 1.0e-4)
    low = x - 0.5 * w
    high = x + 0.5 * w
    # The integral of the wave is a triangle of height 1/2 in each period.
    rise = 0.5 - wp.abs(high - wp.floor(high) - 0.5) - (0.5 - wp.abs(low - wp.floor(low) - 0.5))
    return rise / w


@wp.func
def _lattice(x: int, y: int, z: int) -> float:
    """The random value in [0, 1) of an integer point; one round of mixing is enough for the eye."""
    bits = (wp.uint32(x) * ALONG_X) ^ (wp.uint32(y) * ALONG_Y) ^ (wp.uint32(z) * ALONG_Z)
    bits = (bits ^ (bits >> wp.uint32(15))) * MIX_2
    return float(bits >> wp.uint32(8)) * (1.0 / 16777216.0)


@wp.func
def value_noise(p: wp.vec3) -> float:
    """Smooth noise in [0, 1] with one random value at each integer point."""
    x0 = wp.floor(p[0])
    y0 = wp.floor(p[1])
    z0 = wp.floor(p[2])
    fx = p[0] - x0
    fy = p[1] - y0
    fz = p[2] - z0
    x = int(x0)
    y = int(y0)
    z = int(z0)
    sx = fx * fx * (3.0 - 2.0 * fx)
    sy = fy * fy * (3.0 - 2.0 * fy)
    sz = fz * fz * (3.0 - 2.0 * fz)
    low = wp.lerp(
        wp.lerp(_lattice(x, y, z), _lattice(x + 1, y, z), sx),
        wp.lerp(_lattice(x, y + 1, z), _lattice(x + 1, y + 1, z), sx),
        sy,
    )
    high = wp.lerp(
        wp.lerp(_lattice(x, y, z + 1), _lattice(x + 1, y, z + 1), sx),
        wp.lerp(_lattice(x, y + 1, z + 1), _lattice(x + 1, y + 1, z + 1), sx),
        sy,
    )
    return wp.lerp(low, high, sz)


@wp.func
def _fade(width: float) -> float:
    """How much of a wave of period 1 is left after filtering over `width`."""
    return wp.clamp(1.5 - 2.0 * width, 0.0, 1.0)


@wp.func
def _fractal_noise(p: wp.vec3, width: float) -> float:
    """Four octaves of value noise around 0, each faded out before it would alias; about +-0.5."""
    total = float(0.0)
    amplitude = float(0.5)
    q = p
    w = width
    for _octave in range(4):
        left = _fade(w)
        if left > 0.0:
            total += amplitude * left * (value_noise(q) - 0.5)
        q = 2.03 * q + wp.vec3(17.1, 5.7, 11.3)
        w = 2.03 * w
        amplitude = 0.5 * amplitude
    return 1.1 * total


@wp.func
def _dots(p: wp.vec3, n: wp.vec3, width: float) -> float:
    """Discs on a square grid on the two axes that the surface spans best."""
    a = wp.abs(n)
    x = p[0]
    y = p[1]
    if a[0] > a[1] and a[0] > a[2]:
        x = p[2]
    elif a[1] > a[2]:
        y = p[2]
    dx = x - wp.floor(x) - 0.5
    dy = y - wp.floor(y) - 0.5
    soft = wp.max(width, 0.02)
    inside = wp.clamp((DOT_RADIUS - wp.sqrt(dx * dx + dy * dy)) / soft + 0.5, 0.0, 1.0)
    mean = wp.PI * DOT_RADIUS * DOT_RADIUS
    return wp.lerp(mean, inside, _fade(0.7 * width))


@wp.func
def _wood(p: wp.vec3, width: float) -> float:
    """Rings around an axis along x beside the body, wavering, with fine grain along the axis."""
    weight = float(0.45)
    left = _fade(width)
    if left > 0.0:
        waver = value_noise(wp.vec3(0.15 * p[0], 0.5 * p[1], 0.5 * p[2]))
        y = p[1] + 1.7
        z = p[2] + 6.3
        radius = wp.sqrt(y * y + z * z) + 1.2 * waver
        ring = radius - wp.floor(radius)
        # Light early wood darkens slowly outwards, then jumps back.
        weight = wp.lerp(weight, ring * ring * wp.clamp(8.0 * (1.0 - ring), 0.0, 1.0), left)
    left = _fade(7.0 * width)
    if left > 0.0:
        grain = value_noise(wp.vec3(0.8 * p[0], 14.0 * p[1], 14.0 * p[2])) - 0.5
        weight += 0.35 * grain * left
    return wp.clamp(weight, 0.0, 1.0)


@wp.func
def texture_weight(kind: int, p: wp.vec3, n: wp.vec3, width: wp.vec3) -> float:
    """Weight of the second colour at p, in periods, where the surface has the unit normal n (body frame)."""
    if kind == PLAIN:
        return 0.0
    widest = wp.max(width)
    # A flat face may lie exactly where two cells of a solid pattern meet: look a little below the surface.
    q = p - 0.11 * n
    if kind == CHECKER:
        wave = _square_wave(q[0], width[0]) * _square_wave(q[1], width[1]) * _square_wave(q[2], width[2])
        return 0.5 - 0.5 * wave
    if kind == STRIPES:
        return 0.5 - 0.5 * _square_wave(0.8 * q[0] + 0.6 * q[2], 0.8 * width[0] + 0.6 * width[2])
    if kind == DOTS:
        return _dots(p, n, widest)
    if kind == NOISE:
        return wp.clamp(0.5 + 1.6 * _fractal_noise(p, widest), 0.0, 1.0)
    if kind == WOOD:
        return _wood(p, widest)
    vein = wp.abs(wp.sin(wp.PI * (p[0] + 0.6 * p[1] + 0.4 * p[2] + 2.2 * _fractal_noise(p, widest))))
    return wp.lerp(0.29, wp.pow(1.0 - vein, 2.5), _fade(2.5 * widest))
