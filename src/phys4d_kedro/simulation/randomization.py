"""Randomisation: a configuration is a point of the space that its scene draws from, and its hash names it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phys4d_kedro.simulation.rendering.scene import Colour, Material, TextureKind

COLOURS: dict[str, Colour] = {
    "red": (0.80, 0.12, 0.10),
    "orange": (0.93, 0.50, 0.12),
    "yellow": (0.93, 0.80, 0.15),
    "green": (0.15, 0.58, 0.22),
    "blue": (0.12, 0.28, 0.78),
    "purple": (0.48, 0.20, 0.68),
    "white": (0.90, 0.90, 0.88),
    "black": (0.08, 0.08, 0.09),
}

# What things are made of: density in kg/m^3, sliding friction, restitution against itself, looks.
SUBSTANCES: dict[str, dict[str, Any]] = {
    "rubber": {"density": 1100, "friction": 0.9, "restitution": 0.75, "roughness": 0.8, "specular": 0.04},
    "wooden": {"density": 650, "friction": 0.5, "restitution": 0.45, "roughness": 0.6, "specular": 0.04},
    "plastic": {"density": 950, "friction": 0.35, "restitution": 0.6, "roughness": 0.25, "specular": 0.05},
    "metal": {"density": 7800, "friction": 0.3, "restitution": 0.65, "roughness": 0.15, "specular": 0.5},
    "stone": {"density": 2600, "friction": 0.6, "restitution": 0.4, "roughness": 0.7, "specular": 0.04},
}


@dataclass(frozen=True)
class Uniform:
    """An attribute that is a number from [low, high), each as likely as any other."""

    low: float
    high: float


@dataclass(frozen=True)
class Integer:
    """An attribute that is a whole number from low to high, both included."""

    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """An attribute that is one of the options."""

    options: tuple[str, ...]


Range = Uniform | Integer | Choice


class Draw:
    """Draws attributes by name and remembers them: `values` is the configuration, `space` what each was drawn from.

    A name is drawn once; ranges are part of the scene's declaration, not of the configuration and its hash.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.values: dict[str, float | int | str] = {}
        self.space: dict[str, Range] = {}

    def uniform(self, name: str, low: float, high: float) -> float:
        """A number from [low, high)."""
        return self._remember(name, Uniform(low, high), float(self._rng.uniform(low, high)))

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return self._remember(name, Integer(low, high), int(self._rng.integers(low, high + 1)))

    def choice(self, name: str, options: Sequence[str]) -> str:
        """One of the options."""
        return self._remember(name, Choice(tuple(options)), str(self._rng.choice(list(options))))

    def sign(self, name: str) -> int:
        """-1 or 1."""
        return 2 * self.integer(name, 0, 1) - 1

    def configuration_hash(self) -> str:
        """SHA-256 of all that was drawn."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()

    def include(self, other: "Draw") -> None:
        """Take in what another draw has drawn."""
        self.values |= other.values
        self.space |= other.space

    def _remember(self, name: str, drawn_from: Range, value: Any) -> Any:
        if name in self.values:
            raise KeyError(f"'{name}' is drawn twice in one configuration")
        self.values[name] = value
        self.space[name] = drawn_from
        return value


@dataclass(frozen=True, kw_only=True)
class Substance:
    """What a thing is made of and looks like, with the words for it ("red rubber", "red and blue wooden").

    Density in kg/m^3; `friction` and `restitution` are those against the same substance.
    """

    words: str
    density: float
    friction: float
    restitution: float
    material: Material

    def a(self, capital: bool = True) -> str:
        """The words with their article."""
        article = "an" if self.words[0] in "aeiou" else "a"
        return f"{article.capitalize() if capital else article} {self.words}"


def draw_substance(draw: Draw, name: str, *, size: float, kinds: Sequence[str] = tuple(SUBSTANCES)) -> Substance:
    """Draw substance, colour and texture of the thing `name`, whose diameter is about `size` metres.

    Physical attributes vary by 15 % about those of the substance.
    """
    kind = draw.choice(f"{name}.substance", kinds)
    facts = SUBSTANCES[kind]
    colour = draw.choice(f"{name}.colour", tuple(COLOURS))
    second = _other(draw.choice(f"{name}.second_colour", tuple(COLOURS)), colour)
    options: tuple[TextureKind, ...] = ("plain", "checker", "stripes", "dots", "marble")
    if kind == "wooden":
        options = ("wood",)
    kind_of_texture: Any = draw.choice(f"{name}.texture", options)
    material = Material(
        colour=COLOURS[colour],
        second_colour=COLOURS[second],
        texture=kind_of_texture,
        scale=size * draw.uniform(f"{name}.texture_scale", 0.4, 0.9),
        roughness=facts["roughness"],
        specular=facts["specular"],
    )
    return Substance(
        words=f"{colour} {kind}" if material.texture == "plain" else f"{colour} and {second} {kind}",
        density=facts["density"] * draw.uniform(f"{name}.density", 0.85, 1.15),
        friction=facts["friction"] * draw.uniform(f"{name}.friction", 0.85, 1.15),
        restitution=facts["restitution"] * draw.uniform(f"{name}.restitution", 0.85, 1.15),
        material=material,
    )


def _other(name: str, taken: str) -> str:
    """The colour, or white or black where it is taken."""
    if name != taken:
        return name
    return "black" if taken == "white" else "white"
