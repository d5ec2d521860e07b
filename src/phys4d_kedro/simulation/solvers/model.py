"""A description as MuJoCo's XML: things, joints and what drives them, ropes, cloth and soft bodies, and contacts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.description import Description, Part, Thing
from phys4d_kedro.simulation.randomization import Substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Shape, Sphere
from phys4d_kedro.simulation.solvers import flexibles, ropes
from phys4d_kedro.simulation.solvers.constants import GRAVITY
from phys4d_kedro.simulation.solvers.contacts import pair_xml
from phys4d_kedro.simulation.solvers.transforms import join, place_xml, transform_of

# Seconds a step. Contacts last some eight steps; meshes of many points step in longer ones.
RIGID_TIMESTEP, FLEXIBLE_TIMESTEP = 0.0005, 0.001
_CONTACT_FREQUENCY = 0.4  # of a contact, in 1 / timestep
# Of the light links of a rope: softer contacts with the ground, and none that throw back; else they can gain energy.
_ROPE_SOFTNESS, _ROPE_RESTITUTION = 0.4, 0.05
# A drive is a servo of this inertia (kg, or kg m^2), far above that of what it moves, and natural frequency (1/s).
_DRIVE_INERTIA, _DRIVE_FREQUENCY = 50.0, 200.0


@dataclass(frozen=True)
class _Geom:
    """A geom in a contact: name, substance, whether it moves, and natural frequency of its contact with the ground."""

    name: str
    substance: Substance
    moves: bool
    frequency: float


def build_model(description: Description) -> Any:
    """The MjModel of a description: the ground plane, a body a thing, and what bends.

    Raises:
        ConfigurationError: a joint or rope names no thing, or a part cannot collide.
    """
    import mujoco

    return mujoco.MjModel.from_xml_string(_xml(description))


def timestep(description: Description) -> float:
    """Seconds a step."""
    return FLEXIBLE_TIMESTEP if description.cloths or description.soft_bodies else RIGID_TIMESTEP


def contact_frequency(description: Description) -> float:
    """Natural frequency of a contact, 1/s: 800 where all is rigid, so that a contact lasts about 4 ms."""
    return _CONTACT_FREQUENCY / timestep(description)


def _xml(description: Description) -> str:
    # MuJoCo integrates the elasticity of soft bodies with this integrator only.
    integrator = "discrete" if description.soft_bodies else "implicitfast"
    bodies = [_body(description, index) for index in _children(description, None)]
    loose = [ropes.body_xml(description, r) for r, rope in enumerate(description.ropes) if not _on_thing(rope.start)]
    flexes = [flexibles.cloth_xml(c, cloth) for c, cloth in enumerate(description.cloths)]
    flexes += [flexibles.soft_xml(s, body) for s, body in enumerate(description.soft_bodies)]
    ends = [ropes.end_xml(description, r) for r in range(len(description.ropes))]
    return f"""<mujoco>
  <option gravity="0 0 -{GRAVITY}" timestep="{timestep(description)}" integrator="{integrator}" cone="elliptic"
    impratio="5"/>
  <size memory="64M"/>
  <visual><global offwidth="2048" offheight="2048"/></visual>
  <worldbody>
    <geom name="ground" type="plane" size="20 20 1" contype="0" conaffinity="{flexibles.TOUCHES}"/>
    {"".join(bodies)}{"".join(loose)}{"".join(flexes)}
  </worldbody>
  <equality>{"".join(ends)}</equality>
  <actuator>{"".join(_drives(description))}</actuator>
  <contact>{"".join(_pairs(description))}</contact>
</mujoco>"""


def _on_thing(end: str | None) -> bool:
    return end not in (None, "world")


def _children(description: Description, parent: str | None) -> list[int]:
    return [i for i, thing in enumerate(description.things) if (thing.joint.to if thing.joint else None) == parent]


def _body(description: Description, index: int) -> str:
    thing = description.things[index]
    place = transform_of(thing.position, thing.rotation)
    parent = np.eye(4)
    if thing.joint and thing.joint.to:
        other = description.things[description.index_of(thing.joint.to)]
        parent = transform_of(other.position, other.rotation)
    inner = [_geom(index, number, part, thing) for number, part in enumerate(thing.solid_parts)]
    inner += [_body(description, child) for child in _children(description, thing.name)]
    inner += [ropes.body_xml(description, r) for r, rope in enumerate(description.ropes) if rope.start == thing.name]
    held = ' gravcomp="1"' if thing.held else ""
    local = place_xml(np.linalg.inv(parent) @ place) if thing.joint and thing.joint.to else place_xml(place)
    return f'<body name="{index}" {local}{held}>{_joint(index, thing, place)}{"".join(inner)}</body>'


def _joint(index: int, thing: Thing, place: NDArray[np.float64]) -> str:
    joint = thing.joint
    if joint is None:
        return "" if thing.fixed else f'<freejoint name="{index}"/>'
    anchor = place[:3, :3].T @ (np.asarray(joint.anchor) - place[:3, 3])
    axis = place[:3, :3].T @ np.asarray(joint.axis)
    limits = f' range="{join(joint.limits)}"' if joint.limits else ""
    inertia = f' armature="{_DRIVE_INERTIA}"' if joint.drive else ""
    return (
        f'<joint name="{index}" type="{joint.kind}" pos="{join(anchor)}" axis="{join(axis)}" '
        f'damping="{joint.damping}" stiffness="{joint.stiffness}"{limits}{inertia}/>'
    )


def _drives(description: Description) -> Iterator[str]:
    stiffness = _DRIVE_INERTIA * _DRIVE_FREQUENCY**2
    damping = 2 * _DRIVE_INERTIA * _DRIVE_FREQUENCY
    for index, thing in enumerate(description.things):
        if thing.joint and thing.joint.drive:
            yield f'<position name="{index}" joint="{index}" kp="{stiffness}" kv="{damping}"/>'


def _geom(index: int, number: int, part: Part, thing: Thing) -> str:
    kind, size = _sizes(part.shape, thing.name)
    colour = " ".join(f"{channel:.3f}" for channel in thing.substance.material.colour)
    place = place_xml(transform_of(part.position, part.rotation))
    return (
        f'<geom name="{index}.{number}" type="{kind}" size="{size}" {place} '
        f'density="{thing.substance.density}" rgba="{colour} 1" contype="0" conaffinity="{flexibles.TOUCHES}"/>'
    )


def _sizes(shape: Shape, name: str) -> tuple[str, str]:
    if isinstance(shape, Sphere):
        return "sphere", f"{shape.radius}"
    if isinstance(shape, Box):
        return "box", join(shape.half_extents)
    if isinstance(shape, Cylinder):
        return "cylinder", f"{shape.radius} {shape.half_height}"
    raise ConfigurationError(f"thing '{name}': a {type(shape).__name__} cannot collide; give it colliders")


def _pairs(description: Description) -> Iterator[str]:
    """Contacts of every part with the ground and with every part of what else can move against it."""
    frequency = contact_frequency(description)
    groups = [
        [_Geom(f"{i}.{n}", thing.substance, not thing.fixed, frequency) for n in range(len(thing.solid_parts))]
        for i, thing in enumerate(description.things)
    ]
    for r, rope in enumerate(description.ropes):
        limp = replace(rope.substance, restitution=_ROPE_RESTITUTION)
        names = ropes.segment_names(description, r)
        groups.append([_Geom(name, limp, True, _ROPE_SOFTNESS * frequency) for name in names])
    for group in groups:
        for geom in group:
            if geom.moves:
                yield pair_xml(geom.name, "ground", geom.substance, geom.substance, geom.frequency)
    apart = _joined(description)
    for (i, group), (j, others) in combinations(enumerate(groups), 2):
        if (i, j) in apart or not any(geom.moves for geom in [*group, *others]):
            continue
        for one in group:
            for other in others:
                yield pair_xml(one.name, other.name, one.substance, other.substance, frequency)


def _joined(description: Description) -> set[tuple[int, int]]:
    """Pairs of groups (things, then ropes) that a joint or a knot holds together, which do not collide."""
    pairs = {
        (description.index_of(thing.joint.to), i)
        for i, thing in enumerate(description.things)
        if thing.joint and thing.joint.to
    }
    things = len(description.things)
    for r, rope in enumerate(description.ropes):
        pairs |= {(description.index_of(end), things + r) for end in (rope.start, rope.end) if end and end != "world"}
    return pairs | {(j, i) for i, j in pairs}
