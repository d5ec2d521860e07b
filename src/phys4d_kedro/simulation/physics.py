"""Rigid-body physics: a description becomes a MuJoCo model and is rolled out.

Restitution. A MuJoCo contact is a spring with a damper that pushes and never pulls. With a damping ratio z it throws a
body back at e = exp(-2 z / s arctan(s / z)), s = sqrt(1 - z^2), of its speed, whatever its stiffness (Schwager and
Poeschel 2007); the stiffness is set by how long a contact lasts. Every pair of things has its own contact: e is the
geometric mean of the two restitutions, friction that of the two frictions.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import Phys4DError
from phys4d_kedro.simulation.description import Description, Thing, rotation_matrix
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Shape, Sphere

_log = logging.getLogger(__name__)

GRAVITY = 9.81
TIMESTEP = 0.0005
OMEGA = 800.0  # natural frequency of a contact, 1/s: it lasts about 4 ms
_OVERLAP = 1e-4  # metres; a contact throws things apart at OMEGA times their overlap


class BadDrawError(Phys4DError):
    """A configuration that cannot be simulated or seen; another one is drawn in its place."""


@dataclass(frozen=True)
class Rollout:
    """Poses (T, P, 4, 4), world from part, of every part of every thing, in order; and each part's thing."""

    poses: NDArray[np.float64]
    thing_of_part: Sequence[int]


def build_model(description: Description) -> Any:
    """The MjModel of a description: the ground plane, and a geom a part."""
    import mujoco

    return mujoco.MjModel.from_xml_string(_xml(description))


def roll_out(description: Description, *, frames: int, fps: float, nudge: NDArray[np.float64] | None = None) -> Rollout:
    """Simulate `frames` frames at `fps`, starting from the description's initial state.

    Args:
        nudge: (things, 3) metres added to the start of the things that move.

    Raises:
        BadDrawError: things overlap at the start, or the solver fails.
    """
    import mujoco

    mujoco.set_mju_user_warning(
        _log.debug
    )  # MuJoCo would write a file to the working directory; see data.warning below
    model = build_model(description)
    data = mujoco.MjData(model)
    _set_state(model, data, description, nudge)
    mujoco.mj_forward(model, data)
    deepest = min((contact.dist for contact in data.contact), default=0.0)
    if deepest < -_OVERLAP:
        raise BadDrawError(f"things overlap by {-deepest * 1000:.0f} mm at the start")
    steps = np.round(np.arange(frames) / fps / TIMESTEP).astype(int)
    parts = model.ngeom - 1
    poses = np.tile(np.eye(4), (frames, parts, 1, 1))
    done = 0
    for frame, step in enumerate(steps):
        if step > done:
            mujoco.mj_step(model, data, step - done)
            done = int(step)
        mujoco.mj_kinematics(model, data)
        poses[frame, :, :3, :3] = data.geom_xmat[1:].reshape(-1, 3, 3)
        poses[frame, :, :3, 3] = data.geom_xpos[1:]
    if not np.isfinite(poses).all() or any(warning.number for warning in data.warning):
        raise BadDrawError("the solver became unstable")
    return Rollout(poses, [index for index, thing in enumerate(description.things) for _ in thing.parts])


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


def _set_state(model: Any, data: Any, description: Description, nudge: NDArray[np.float64] | None) -> None:
    import mujoco

    for index, thing in enumerate(description.things):
        if thing.fixed:
            continue
        joint = model.joint(f"{index}")
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, rotation_matrix(thing.rotation).ravel())
        start = np.asarray(thing.position) + (0 if nudge is None else nudge[index])
        data.qpos[joint.qposadr[0] : joint.qposadr[0] + 7] = [*start, *quaternion]
        spin = rotation_matrix(thing.rotation).T @ thing.spin  # MuJoCo turns bodies about their own axes
        data.qvel[joint.dofadr[0] : joint.dofadr[0] + 6] = [*thing.velocity, *spin]


def _xml(description: Description) -> str:
    bodies = [_body(index, thing) for index, thing in enumerate(description.things)]
    return f"""<mujoco>
  <option gravity="0 0 -{GRAVITY}" timestep="{TIMESTEP}" integrator="implicitfast" cone="elliptic" impratio="5"/>
  <size memory="32M"/>
  <visual><global offwidth="2048" offheight="2048"/></visual>
  <worldbody>
    <geom name="ground" type="plane" size="20 20 1" contype="0" conaffinity="0"/>
    {"".join(bodies)}
  </worldbody>
  <contact>{"".join(_pairs(description))}</contact>
</mujoco>"""


def _body(index: int, thing: Thing) -> str:
    geoms = []
    for number, part in enumerate(thing.parts):
        kind, size = _geom(part.shape)
        colour = " ".join(f"{channel:.3f}" for channel in thing.substance.material.colour)
        geoms.append(
            f'<geom name="{index}.{number}" type="{kind}" size="{size}" pos="{_join(part.position)}" '
            f'xyaxes="{_axes(part.rotation)}" density="{thing.substance.density}" rgba="{colour} 1" '
            'contype="0" conaffinity="0"/>'
        )
    joint = "" if thing.fixed else f'<freejoint name="{index}"/>'
    place = f'pos="{_join(thing.position)}" xyaxes="{_axes(thing.rotation)}"'
    return f'<body name="{index}" {place}>{joint}{"".join(geoms)}</body>'


def _pairs(description: Description) -> list[str]:
    """Contacts of every part with the ground and with every part of other things, unless both are fixed."""
    ground = [
        (f"{i}.{n}", "ground", thing, None)
        for i, thing in enumerate(description.things)
        for n in range(len(thing.parts))
    ]
    mutual = [
        (f"{i}.{n}", f"{j}.{m}", one, other)
        for (i, one), (j, other) in combinations(enumerate(description.things), 2)
        for n in range(len(one.parts))
        for m in range(len(other.parts))
    ]
    pairs = []
    for first, second, one, other in ground + mutual:
        if one.fixed and (other is None or other.fixed):
            continue
        partner = one if other is None else other
        friction = math.sqrt(one.substance.friction * partner.substance.friction)
        restitution = math.sqrt(one.substance.restitution * partner.substance.restitution)
        stiffness, damping = OMEGA**2, 2 * damping_ratio(restitution) * OMEGA
        pairs.append(
            f'<pair geom1="{first}" geom2="{second}" condim="4" friction="{friction} {friction} 0.005 0.0001 0.0001" '
            f'solref="-{stiffness} -{damping}" solimp="0.99 0.99 0.001"/>'
        )
    return pairs


def _geom(shape: Shape) -> tuple[str, str]:
    if isinstance(shape, Sphere):
        return "sphere", f"{shape.radius}"
    if isinstance(shape, Box):
        return "box", _join(shape.half_extents)
    if isinstance(shape, Cylinder):
        return "cylinder", f"{shape.radius} {shape.half_height}"
    raise TypeError(f"no rigid physics for a {type(shape).__name__}")


def _join(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.9g}" for number in numbers)


def _axes(degrees: tuple[float, float, float]) -> str:
    matrix = rotation_matrix(degrees)
    return _join([*matrix[:, 0], *matrix[:, 1]])
