"""A scene as it is declared: what is in it, the ground under it, where to look, and the words for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.randomization import Substance
from phys4d_kedro.simulation.rendering.scene import Colour, Material, Mesh, Shape

Vector = tuple[float, float, float]
MatterKind = Literal["liquid", "granular", "elastic"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A shape of a compound thing, placed in the thing's frame: metres, and degrees about x, then y, then z."""

    shape: Shape
    position: Vector = (0.0, 0.0, 0.0)
    rotation: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Joint:
    """What holds a thing to the world, or to the thing named `to`.

    `anchor` is a point of the world and `axis` a direction in it, both at the start; a `hinge` turns about the axis, a
    `slide` moves along it, a `ball` turns about the anchor. `damping` and `stiffness` are N m s/rad and N m/rad (N s/m
    and N/m of a slide); `limits` degrees (metres). `drive`: the joint follows (time in s, degrees or metres) points,
    linearly between them, whatever the load.
    """

    kind: Literal["hinge", "slide", "ball"]
    anchor: Vector
    axis: Vector = (0.0, 1.0, 0.0)
    to: str | None = None
    damping: float = 0.0
    stiffness: float = 0.0
    limits: tuple[float, float] | None = None
    drive: Sequence[tuple[float, float]] | None = None


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A rigid thing of one substance: position (metres), rotation (degrees about x, then y, then z), velocity (m/s)
    and spin (rad/s) at the start, all in the world. What is `fixed` never moves and belongs to the background.

    `parts` are seen; what collides is `colliders` where given (spheres, boxes and cylinders), else the parts.
    `held` is for how many seconds a thing stays where it is before it is let go. `magnet` is the moment of a
    dipole at its origin (A m^2, in the thing's frame).
    """

    name: str
    substance: Substance
    parts: Sequence[Part]
    position: Vector
    rotation: Vector = (0.0, 0.0, 0.0)
    velocity: Vector = (0.0, 0.0, 0.0)
    spin: Vector = (0.0, 0.0, 0.0)
    fixed: bool = False
    colliders: Sequence[Part] | None = None
    joint: Joint | None = None
    held: float = 0.0
    magnet: Vector | None = None

    @property
    def solid_parts(self) -> Sequence[Part]:
        """What collides."""
        return self.parts if self.colliders is None else self.colliders


@dataclass(frozen=True, kw_only=True)
class Rope:
    """A rope (or chain) along `points` (at least two, metres) in segments of about `segment` metres.

    `start` and `end` say what its ends are tied to: the name of a thing, "world", or nothing. `bending` is its bending
    stiffness (N m^2). A chain shows separate links.
    """

    name: str
    substance: Substance
    points: Sequence[Vector]
    radius: float
    segment: float = 0.05
    start: str | None = None
    end: str | None = None
    bending: float = 0.0
    chain: bool = False


@dataclass(frozen=True, kw_only=True)
class Cloth:
    """A rectangle of cloth, `size` metres in `cells` cells, flat at the start around `position`, turned by `rotation`.

    `pinned` vertices, (column, row) with columns along the cloth's x, never move. `weight` kg/m^2; `wind` is the
    velocity of the air (m/s).
    """

    name: str
    substance: Substance
    size: tuple[float, float]
    cells: tuple[int, int]
    position: Vector
    rotation: Vector = (0.0, 0.0, 0.0)
    weight: float = 0.2
    pinned: Sequence[tuple[int, int]] = ()
    wind: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class SoftBody:
    """An elastic block of `size` metres in `cells` cells around `position`; `rounded` makes it an ellipsoid. `young`
    (Pa), `poisson`, and `damping`, the time (s) over which strains relax; density is the substance's. What is seen is
    `mesh` (in the body's frame), which the cells carry along, or else the cells' own hull."""

    name: str
    substance: Substance
    size: Vector
    cells: tuple[int, int, int]
    position: Vector
    rotation: Vector = (0.0, 0.0, 0.0)
    rounded: bool = False
    young: float = 2e4
    poisson: float = 0.3
    damping: float = 0.01
    mesh: Mesh | None = None


@dataclass(frozen=True, kw_only=True)
class Emitter:
    """A nozzle: a disc of `radius` at `position` from which matter flows at `velocity` (m/s) from `start` to `stop`
    (s)."""

    position: Vector
    velocity: Vector
    radius: float
    start: float = 0.0
    stop: float = 1e9


@dataclass(frozen=True, kw_only=True)
class Matter:
    """What flows or crumbles: a liquid, grains, or an elastic mass that may melt.

    It fills the `blocks` at the start, at rest, and flows from the `emitters`. `density` kg/m^3; `viscosity` Pa s (of
    liquids); `friction_angle` degrees (of grains); `young` Pa (of elastic). An elastic mass with `melting` (K) starts
    at `temperature` (K), takes up heat from things that have a `Description.temperatures` entry, with `diffusivity`
    (m^2/s), and is a liquid where it is hotter than that.
    """

    name: str
    words: str
    kind: MatterKind
    material: Material
    blocks: Sequence[Part] = ()
    emitters: Sequence[Emitter] = ()
    density: float = 1000.0
    viscosity: float = 0.0
    friction_angle: float = 35.0
    young: float = 2e4
    melting: float | None = None
    temperature: float = 293.0
    diffusivity: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class MatterGrid:
    """Where matter is simulated: a box (metres) and the spacing of its grid; eight particles fill a cell."""

    lower: Vector
    upper: Vector
    spacing: float


@dataclass(frozen=True, kw_only=True)
class GasSource:
    """A ball from which smoke or flame rises: `heat` is how much hotter than the air it keeps the gas (K), `smoke` the
    extinction that it keeps there (1/m), `flame` whether it burns (the gas glows and cools as it rises). It works
    from `start` to `stop` (s)."""

    position: Vector
    radius: float
    heat: float
    smoke: float
    flame: bool = False
    start: float = 0.0
    stop: float = 1e9


@dataclass(frozen=True, kw_only=True)
class Gas:
    """Air in a box that carries smoke, flame and heat; `cell` is the size of the grid's cells (m), `wind` the velocity
    (m/s) that comes in from its sides."""

    name: str
    lower: Vector
    upper: Vector
    cell: float
    sources: Sequence[GasSource]
    colour: Colour = (0.6, 0.6, 0.6)
    wind: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class HeatedBlock:
    """A solid box that conducts heat and glows: `material` mixes its two colours by temperature, from `cold` to `hot`
    (K). Its faces lie at `position` +- half of `size`. The ball `source_position`, `source_radius` in it is kept at
    `source_temperature` (K); `diffusivity` m^2/s, `loss` 1/s to the air at 293 K."""

    name: str
    material: Material
    size: Vector
    cells: tuple[int, int, int]
    position: Vector
    source_position: Vector
    source_radius: float
    source_temperature: float
    diffusivity: float
    loss: float = 0.0
    cold: float = 293.0
    hot: float = 1100.0


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """A lamp in place of the sun: directions towards it (any number of points, spread evenly over the clip's time), and
    how bright it and the sky are, as factors. `indoor` puts a studio with lamps in place of the sky."""

    directions: Sequence[Vector] = ()
    lamp: float = 1.0
    sky: float = 1.0
    indoor: bool = False


@dataclass(frozen=True, kw_only=True)
class Description:
    """One configuration of a scene.

    `prompt` says what happens, and in words what the first frame cannot show, such as speed and direction: in it
    `{direction}` becomes the words for the world's x axis as the camera sees it at first ("to the left"), `{opposite}`
    those for the other way. `centre` and `radius` (metres) bound what should be in view. `at_rest`: nothing is meant
    to move. `unseen` names what the first frame need not show. `azimuths` bounds where cameras stand (degrees), where
    not everywhere; `temperatures` (K) are those of hot things, by name.
    """

    things: Sequence[Thing] = ()
    ropes: Sequence[Rope] = ()
    cloths: Sequence[Cloth] = ()
    soft_bodies: Sequence[SoftBody] = ()
    matter: Sequence[Matter] = ()
    grid: MatterGrid | None = None
    gas: Gas | None = None
    heated: Sequence[HeatedBlock] = ()
    temperatures: dict[str, float] = field(default_factory=dict)
    lighting: Lighting | None = None
    prompt: str
    centre: Vector
    radius: float
    azimuths: tuple[float, float] = (0.0, 360.0)
    at_rest: bool = False
    unseen: Sequence[str] = ()

    @property
    def elements(self) -> "Sequence[Thing | Rope | Cloth | SoftBody | Matter]":
        """What a second take may start elsewhere, in order."""
        return [*self.things, *self.ropes, *self.cloths, *self.soft_bodies, *self.matter]

    def index_of(self, name: str) -> int:
        """Place of a thing among the things. Raises ConfigurationError where there is none of that name."""
        names = [thing.name for thing in self.things]
        if name not in names:
            raise ConfigurationError(f"scene: no thing is named '{name}'; there are {', '.join(names)}")
        return names.index(name)

    @property
    def instances(self) -> list[str]:
        """Names of the instances 1, 2, ... of the segmentation, but for smoke and flame, which come after them."""
        moving = [element.name for element in self.elements if not getattr(element, "fixed", False)]
        return [*moving, *(block.name for block in self.heated)]

    @property
    def late(self) -> set[str]:
        """Names of instances that the first frame need not show."""
        return {*self.unseen, *(matter.name for matter in self.matter if not matter.blocks)}


def rotation_matrix(degrees: Vector) -> NDArray[np.float64]:
    """(3, 3), of turns about the fixed x, then y, then z axis."""
    x, y, z = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def pace(amount: float, *, slow: float, quick: float) -> str:
    """The prompt's word for how fast something goes: slowly below `slow`, quickly above `quick`."""
    return "slowly" if amount < slow else "quickly" if amount > quick else "steadily"
