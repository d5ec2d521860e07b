"""Contacts between rigid parts.

Restitution. A MuJoCo contact is a spring with a damper that pushes and never pulls. With a damping ratio z it throws a
body back at e = exp(-2 z / s arctan(s / z)), s = sqrt(1 - z^2), of its speed, whatever its stiffness (Schwager and
Poeschel 2007); the stiffness is set by how long a contact lasts. Every pair of things has its own contact: e is the
geometric mean of the two restitutions, friction that of the two frictions.
"""

import math

from phys4d_kedro.simulation.randomization import Substance


def pair_xml(first: str, second: str, one: Substance, other: Substance, frequency: float) -> str:
    """A contact between two geoms; `frequency` is its natural frequency (1/s): it lasts pi / frequency or so."""
    friction = math.sqrt(one.friction * other.friction)
    restitution = math.sqrt(one.restitution * other.restitution)
    stiffness, damping = frequency**2, 2 * damping_ratio(restitution) * frequency
    return (
        f'<pair geom1="{first}" geom2="{second}" condim="4" friction="{friction} {friction} 0.005 0.0001 0.0001" '
        f'solref="-{stiffness} -{damping}" solimp="0.99 0.99 0.001"/>'
    )


def damping_ratio(restitution: float) -> float:
    """z in (0, 1) such that a contact throws back `restitution` (0.17 to 1; below, 0.17) of the speed."""

    def thrown_back(z: float) -> float:
        s = math.sqrt(1 - z * z)
        return math.exp(-2 * z / s * math.atan2(s, z))

    low, high = 0.0, 1 - 1e-9  # thrown_back falls from 1 to exp(-2) over it
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if thrown_back(middle) > restitution else (low, middle)
    return low
