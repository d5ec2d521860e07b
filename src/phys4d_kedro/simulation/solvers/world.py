"""Rigid and flexible bodies in motion: MuJoCo stepped through time, with drives, releases, magnets and wind."""

import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.bad_draws import BadDrawError
from phys4d_kedro.simulation.description import Description, Thing, rotation_matrix
from phys4d_kedro.simulation.solvers import flexibles, ropes
from phys4d_kedro.simulation.solvers.magnets import dipole_forces
from phys4d_kedro.simulation.solvers.model import build_model
from phys4d_kedro.simulation.solvers.transforms import transform_of

_log = logging.getLogger(__name__)

_OVERLAP = 1e-4  # metres; a contact throws things apart at its natural frequency times their overlap
_CONTROL_STEPS = 2  # steps between updates of drives, magnets and wind


class World:
    """A description's bodies, from its initial state on.

    `nudge` (elements, 3) metres is added to the start of what moves freely (see `Description.elements`).

    Raises:
        BadDrawError: things overlap at the start.
    """

    def __init__(self, description: Description, nudge: NDArray[np.float64] | None = None) -> None:
        import mujoco

        # MuJoCo would write a file to the working directory; `check` looks at data.warning.
        mujoco.set_mju_user_warning(_log.debug)
        self._description = description
        self.model = build_model(description)
        self.data = mujoco.MjData(self.model)
        self._steps = 0
        self._flexes = self._flex_bodies()
        self._set_state(nudge)
        mujoco.mj_forward(self.model, self.data)
        rigid = [contact.dist for contact in self.data.contact if min(contact.geom) >= 0]
        if (deepest := min(rigid, default=0.0)) < -_OVERLAP:
            raise BadDrawError("things overlap at the start", f"by {-deepest * 1000:.0f} mm")
        self._bodies = np.array([self.model.body(f"{i}").id for i in range(len(description.things))], dtype=int)
        self._magnets = [i for i, thing in enumerate(description.things) if thing.magnet]
        self._before = [self._flex_vertices(f) for f in range(len(self._flexes))]
        self._outside = np.zeros((len(description.things), 6))
        self._busy = bool(
            self._magnets
            or description.cloths
            or any(thing.held or (thing.joint and thing.joint.drive) for thing in description.things)
        )

    @property
    def timestep(self) -> float:
        """Seconds a step."""
        return float(self.model.opt.timestep)

    def advance_to(self, step: int) -> None:
        """Go on until `step` steps from the start are done."""
        import mujoco

        while self._steps < step:
            count = step - self._steps
            if self._busy:
                count = min(count, _CONTROL_STEPS)
                self._control()
            mujoco.mj_step(self.model, self.data, count)
            self._steps += count
        mujoco.mj_kinematics(self.model, self.data)
        if self._flexes:
            mujoco.mj_flex(self.model, self.data)

    def push(self, wrenches: NDArray[np.float64]) -> None:
        """Forces and torques (things, 6), N and N m about the things' origins, in world axes, until the next push."""
        arm = self.data.xipos[self._bodies] - self.data.xpos[self._bodies]
        self._outside = wrenches.copy()
        self._outside[:, 3:] -= np.cross(arm, wrenches[:, :3])
        self.data.xfrc_applied[self._bodies] = self._outside

    def thing_poses(self) -> NDArray[np.float64]:
        """(things, 4, 4), world from thing."""
        poses = np.tile(np.eye(4), (len(self._bodies), 1, 1))
        poses[:, :3, :3] = self.data.xmat[self._bodies].reshape(-1, 3, 3)
        poses[:, :3, 3] = self.data.xpos[self._bodies]
        return poses

    def thing_velocities(self) -> NDArray[np.float64]:
        """(things, 6): of the origin, m/s, and rad/s, in world axes."""
        import mujoco

        velocities = np.empty((len(self._bodies), 6))
        for row, body in zip(velocities, self._bodies, strict=True):
            mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_XBODY, body, row, 0)
        return velocities[:, [3, 4, 5, 0, 1, 2]]

    def part_poses(self) -> NDArray[np.float64]:
        """(parts, 4, 4), world from part, of what is seen of every thing."""
        poses = []
        for index, (thing, place) in enumerate(zip(self._description.things, self.thing_poses(), strict=True)):
            for number, part in enumerate(thing.parts):
                if thing.colliders is None:
                    geom = self.data.geom(f"{index}.{number}")
                    pose = np.eye(4)
                    pose[:3, :3], pose[:3, 3] = geom.xmat.reshape(3, 3), geom.xpos
                else:
                    pose = place @ transform_of(part.position, part.rotation)
                poses.append(pose)
        return np.array(poses).reshape(-1, 4, 4)

    def rope_poses(self) -> list[NDArray[np.float64]]:
        """(links, 4, 4) of every rope."""
        poses = []
        for r in range(len(self._description.ropes)):
            bodies = [self.model.body(name).id for name in ropes.segment_names(self._description, r)]
            links = np.tile(np.eye(4), (len(bodies), 1, 1))
            links[:, :3, :3] = self.data.xmat[bodies].reshape(-1, 3, 3)
            links[:, :3, 3] = self.data.xpos[bodies]
            poses.append(links)
        return poses

    def flex_vertices(self) -> list[NDArray[np.float64]]:
        """(V, 3) of every cloth, then of every soft body."""
        return [self._flex_vertices(f) for f in range(len(self._flexes))]

    def check(self) -> None:
        """Raise BadDrawError if the solver failed."""
        if not np.isfinite(self.data.qpos).all() or any(warning.number for warning in self.data.warning):
            raise BadDrawError("the solver became unstable")

    def _set_state(self, nudge: NDArray[np.float64] | None) -> None:
        things = self._description.things
        shifts = np.zeros((len(self._description.elements), 3)) if nudge is None else nudge
        for index, thing in enumerate(things):
            if not thing.fixed:
                self._set_thing(index, thing, shifts[index])
        first = len(things) + len(self._description.ropes)
        for f, shift in enumerate(shifts[first : first + self.model.nflex]):
            for body in self._flexes[f]:
                if freedoms := self.model.body_dofnum[body]:
                    start = self.model.jnt_qposadr[self.model.body_jntadr[body]]
                    self.data.qpos[start : start + freedoms] += shift

    def _set_thing(self, index: int, thing: Thing, shift: NDArray[np.float64]) -> None:
        import mujoco

        joint = self.model.joint(f"{index}")
        position, velocity = int(joint.qposadr[0]), int(joint.dofadr[0])
        turn = rotation_matrix(thing.rotation)
        if thing.joint is None:
            quaternion = np.empty(4)
            mujoco.mju_mat2Quat(quaternion, turn.ravel())
            self.data.qpos[position : position + 7] = [*(np.asarray(thing.position) + shift), *quaternion]
            spin = turn.T @ thing.spin  # MuJoCo turns bodies about their own axes
            self.data.qvel[velocity : velocity + 6] = [*thing.velocity, *spin]
        elif thing.joint.kind == "ball":
            self.data.qvel[velocity : velocity + 3] = turn.T @ thing.spin
        elif not thing.joint.drive:
            axis = np.asarray(thing.joint.axis) / np.linalg.norm(thing.joint.axis)
            motion = thing.velocity if thing.joint.kind == "slide" else thing.spin
            self.data.qvel[velocity] = axis @ motion
            # A metre aside is about as far as two radians round, for things of half a metre.
            self.data.qpos[position] = shift[0] if thing.joint.kind == "slide" else 2 * shift[0]

    def _control(self) -> None:
        time = self._steps * self.timestep
        for index, thing in enumerate(self._description.things):
            if thing.joint and thing.joint.drive:
                times, targets = np.asarray(thing.joint.drive, dtype=float).T
                target = float(np.interp(time, times, targets))
                turns = thing.joint.kind == "hinge"
                self.data.ctrl[self.model.actuator(f"{index}").id] = math.radians(target) if turns else target
            if thing.held and time >= thing.held:
                self.model.body_gravcomp[self._bodies[index]] = 0
        if self._magnets:
            self._apply_magnets()
        for c, cloth in enumerate(self._description.cloths):
            now = self._flex_vertices(c)
            velocities = (now - self._before[c]) / (_CONTROL_STEPS * self.timestep)
            self.data.xfrc_applied[self._flexes[c], :3] = flexibles.force_of_air(cloth, now, velocities, time)
            self._before[c] = now

    def _apply_magnets(self) -> None:
        bodies = self._bodies[self._magnets]
        turns = self.data.xmat[bodies].reshape(-1, 3, 3)
        moments = np.array([self._description.things[i].magnet for i in self._magnets])
        forces, torques = dipole_forces(self.data.xpos[bodies].copy(), np.einsum("nij,nj->ni", turns, moments))
        arm = self.data.xipos[bodies] - self.data.xpos[bodies]
        self.data.xfrc_applied[bodies] = self._outside[self._magnets]
        self.data.xfrc_applied[bodies, :3] += forces
        self.data.xfrc_applied[bodies, 3:] += torques - np.cross(arm, forces)

    def _flex_bodies(self) -> list[Any]:
        model = self.model
        starts, counts = model.flex_vertadr, model.flex_vertnum
        return [model.flex_vertbodyid[start : start + n] for start, n in zip(starts, counts, strict=True)]

    def _flex_vertices(self, flex: int) -> NDArray[np.float64]:
        start, count = int(self.model.flex_vertadr[flex]), int(self.model.flex_vertnum[flex])
        return np.array(self.data.flexvert_xpos[start : start + count])
