"""How matter answers to deformation: strains and stresses of liquids, grains and elastic masses (Warp).

Letters: p a particle, C the gradient of velocity, J the ratio of volume to rest volume, b the elastic left Cauchy-Green
tensor.
"""

# The bodies of the functions below are Warp's kernel language, which Warp checks as it compiles them: variables that a
# loop changes are declared as float(0.0), structures are indexed by name, arguments have no keywords.
# mypy: ignore-errors
# ruff: noqa: PLR0917

import warp as wp

wp.set_module_options({"enable_backward": False})

LIQUID = wp.constant(0)
GRANULAR = wp.constant(1)
ELASTIC = wp.constant(2)

# Exponent of Tait's equation of state for water.
TAIT = wp.constant(7.0)
# A liquid that has come apart keeps no more than this memory of its expansion, and is never squeezed beyond that.
LOOSEST = wp.constant(1.3)
DENSEST = wp.constant(0.6)
# Its J follows that of its surroundings so much more slowly than crowding: enough against noise from node to node.
SMOOTHING = wp.constant(0.2)


@wp.struct
class Law:
    """How a matter answers to deformation (Pa, Pa s): `bulk` of liquid, Lame's `lame` and `shear` of solids; `slope` of
    the Drucker-Prager cone; `wall_friction`; `melting` K (0: never); `relaxation`, the rate at which a
    liquid's J follows that around it, and crowding (1/s)."""

    kind: wp.int32
    density: float
    bulk: float
    lame: float
    shear: float
    viscosity: float
    slope: float
    wall_friction: float
    melting: float
    diffusivity: float
    relaxation: float


@wp.struct
class Particles:
    """Not changed: matter, rest volume (m^3), time of birth but for those that leave. `swell` is J of a liquid, and
    the logarithm of the volume that grains have lost track of; `stress` is the force on the grid per metre."""

    matter: wp.array[wp.int32]
    volume: wp.array[float]
    birth: wp.array[float]
    position: wp.array[wp.vec3]
    velocity: wp.array[wp.vec3]
    gradient: wp.array[wp.mat33]
    strain: wp.array[wp.mat33]
    swell: wp.array[float]
    stress: wp.array[wp.mat33]
    temperature: wp.array[float]
    melted: wp.array[wp.int32]


@wp.func
def _flow(law: Law, particles: Particles, p: int, dt: float, C: wp.mat33, crowding: float, around: float) -> wp.mat33:
    """Kirchhoff stress of a liquid: Tait's pressure, no tension, Newtonian viscosity. J follows the motion, and slowly
    the volume that the grid finds (`crowding` is the share of space that is filled around the particle): without,
    errors add up until the liquid shrinks or swells."""
    rate = wp.min(dt * law.relaxation, 1.0)
    J = wp.lerp(particles.swell[p], around, SMOOTHING * rate) * (1.0 + dt * wp.trace(C))
    if J < 1.0:
        J += rate * (wp.min(1.0 / crowding, 1.0) - J)
    elif crowding * J > 1.0:
        J += rate * (1.0 / crowding - J)
    J = wp.clamp(J, DENSEST, LOOSEST)
    particles.swell[p] = J
    pressure = wp.max(law.bulk / TAIT * (wp.pow(J, -TAIT) - 1.0), 0.0)
    shear = C + wp.transpose(C)
    identity = wp.identity(3, dtype=float)
    return law.viscosity * J * (shear - wp.trace(shear) / 3.0 * identity) - pressure * J * identity


@wp.func
def _yield(law: Law, particles: Particles, p: int, b: wp.mat33) -> wp.mat33:
    """Kirchhoff stress of grains: Drucker-Prager plasticity in logarithmic strains (Klar et al. 2016, Drucker-Prager
    Elastoplasticity for Sand Animation), with the volume correction of Tampubolon et al. 2017."""
    axes, squares = wp.eig3(b)
    strain = wp.vec3(0.0)
    for k in range(3):
        strain[k] = 0.5 * wp.log(wp.max(squares[k], 1.0e-4))
    volume = strain[0] + strain[1] + strain[2]
    lost = particles.swell[p]
    trial = strain + wp.vec3(lost / 3.0)
    pressed = volume + lost
    shear = trial - wp.vec3(pressed / 3.0)
    size = wp.length(shear)
    excess = size + (3.0 * law.lame + 2.0 * law.shear) / (2.0 * law.shear) * pressed * law.slope
    if pressed >= 0.0:
        particles.strain[p] = wp.identity(3, dtype=float)
        particles.swell[p] = wp.min(pressed, 0.3)
        return wp.mat33(0.0)
    if excess > 0.0:
        trial -= excess / wp.max(size, 1.0e-12) * shear
    particles.swell[p] = 0.0
    stretch = wp.vec3(wp.exp(2.0 * trial[0]), wp.exp(2.0 * trial[1]), wp.exp(2.0 * trial[2]))
    particles.strain[p] = axes * wp.diag(stretch) * wp.transpose(axes)
    force = 2.0 * law.shear * trial + wp.vec3(law.lame * pressed)
    return axes * wp.diag(force) * wp.transpose(axes)


@wp.func
def stress_of(
    law: Law, particles: Particles, p: int, dt: float, C: wp.mat33, crowding: float, around: float
) -> wp.mat33:
    """Bring a particle's strain up to date and return its Kirchhoff stress (Pa)."""
    if law.kind == LIQUID or particles.melted[p] != 0:
        return _flow(law, particles, p, dt, C, crowding, around)
    identity = wp.identity(3, dtype=float)
    change = identity + dt * C
    b = change * particles.strain[p] * wp.transpose(change)
    if law.kind == GRANULAR:
        return _yield(law, particles, p, b)
    # Neo-Hookean.
    J = wp.sqrt(wp.max(wp.determinant(b), 1.0e-3))
    particles.strain[p] = b
    if law.melting > 0.0 and particles.temperature[p] > law.melting:
        particles.melted[p] = 1
        particles.swell[p] = J
    return law.shear * (b - identity) + law.lame * wp.log(J) * identity
