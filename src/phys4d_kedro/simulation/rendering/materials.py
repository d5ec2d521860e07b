"""How surfaces look."""

from dataclasses import dataclass
from typing import Literal

from phys4d_kedro.errors import ConfigurationError

Colour = tuple[float, float, float]
TextureKind = Literal["plain", "checker", "stripes", "dots", "noise", "wood", "marble"]

TEXTURE_KINDS: tuple[TextureKind, ...] = ("plain", "checker", "stripes", "dots", "noise", "wood", "marble")


@dataclass(frozen=True, kw_only=True)
class Material:
    """How a surface looks. The texture is solid (three-dimensional) in the body's frame, so it moves with the body.

    `colour` and `second_colour` are what the texture mixes; `plain` uses `colour` alone. `scale` is the period of the
    texture in metres (a checker has two squares a period). `roughness` runs from 0 (sharp highlight) to 1 (matte);
    `specular` is the mirror reflectance at normal incidence (plastic and stone 0.04, polished metal 0.5 and more).
    `mirror` shows the scene, not the sky alone, in what is reflected, sharply whatever the roughness.

    With `transmission` that share of the light which is not reflected passes through, bent by `refractive_index`
    (glass 1.5, water 1.33; 1 for what bends nothing) and coloured by `colour` over each `clarity` metres of way inside;
    Fresnel's reflectance takes the place of `specular`, but for what bends nothing: that is a pane, too thin to bend
    what is seen through it, which reflects by `specular` and which annotations look through. What transmits casts no
    shadow. It must be closed, or a `Plane`: all below it is inside then. Where two such bodies touch, light leaves the
    one into air before it enters the other.
    """

    colour: Colour = (0.75, 0.75, 0.75)
    second_colour: Colour = (0.25, 0.25, 0.25)
    texture: TextureKind = "plain"
    scale: float = 0.2
    roughness: float = 0.5
    specular: float = 0.04
    mirror: bool = False
    transmission: float = 0.0
    refractive_index: float = 1.5
    clarity: float = 0.2

    @property
    def is_pane(self) -> bool:
        """Whether light passes it unbent."""
        return self.transmission > 0 and self.refractive_index == 1

    def __post_init__(self) -> None:
        for name, colour in (("colour", self.colour), ("second_colour", self.second_colour)):
            if len(colour) != 3 or not all(0 <= channel <= 1 for channel in colour):
                raise ConfigurationError(f"material: {name} {colour} must be three sRGB values in [0, 1]")
        if self.texture not in TEXTURE_KINDS:
            raise ConfigurationError(f"material: texture '{self.texture}' is none of {', '.join(TEXTURE_KINDS)}")
        if not self.scale > 0:
            raise ConfigurationError(f"material: scale {self.scale} must be a positive length in metres")
        shares = {"roughness": self.roughness, "specular": self.specular, "transmission": self.transmission}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ConfigurationError(f"material: {name} {share} must lie in [0, 1]")
        if not 1 <= self.refractive_index <= 3:
            raise ConfigurationError(f"material: refractive_index {self.refractive_index} must lie in [1, 3]")
        if not self.clarity > 0:
            raise ConfigurationError(f"material: clarity {self.clarity} must be a positive length in metres")
