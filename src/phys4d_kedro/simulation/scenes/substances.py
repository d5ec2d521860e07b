"""What things of the scenes are made of, beside the solids of `randomization.draw_substance`."""

from collections.abc import Sequence
from dataclasses import dataclass

from phys4d_kedro.simulation.randomization import COLOURS, Draw, Substance
from phys4d_kedro.simulation.rendering.scene import Colour, Material, TextureKind

_CLOTH_TEXTURES: tuple[TextureKind, ...] = ("plain", "checker", "stripes", "dots")


@dataclass(frozen=True, kw_only=True)
class Liquid:
    """A liquid's words, looks, density (kg/m^3) and viscosity (Pa s)."""

    words: str
    material: Material
    density: float = 1000.0
    viscosity: float = 0.0


# Colour, transmission, refractive index, density, viscosity.
_LIQUIDS: dict[str, tuple[Colour, float, float, float, float]] = {
    "water": ((0.55, 0.80, 0.90), 0.95, 1.33, 1000.0, 0.001),
    "orange juice": ((0.95, 0.55, 0.10), 0.25, 1.35, 1040.0, 0.002),
    "red juice": ((0.75, 0.05, 0.10), 0.6, 1.35, 1030.0, 0.002),
    "milk": ((0.93, 0.92, 0.88), 0.0, 1.35, 1030.0, 0.002),
    "honey": ((0.90, 0.55, 0.08), 0.5, 1.5, 1400.0, 60.0),
}
_MIRRORS: dict[str, Colour] = {"silver": (0.93, 0.93, 0.93), "gold": (0.95, 0.78, 0.40), "copper": (0.93, 0.62, 0.48)}
_GLASSES: dict[str, Colour] = {"clear": (0.93, 0.97, 0.96), "green": (0.55, 0.88, 0.65), "blue": (0.55, 0.72, 0.95)}
_SANDS: dict[str, tuple[Colour, Colour]] = {
    "yellow sand": ((0.85, 0.70, 0.45), (0.70, 0.55, 0.33)),
    "white sand": ((0.92, 0.89, 0.82), (0.78, 0.74, 0.66)),
    "red sand": ((0.75, 0.42, 0.25), (0.60, 0.32, 0.18)),
    "dark gravel": ((0.35, 0.34, 0.34), (0.55, 0.53, 0.50)),
}


def draw_soft(draw: Draw, name: str, density: float = 1000.0) -> Substance:
    """What soft bodies are made of: a colour with marbling or none; they do not slide easily."""
    colour = draw.choice(f"{name}.colour", tuple(COLOURS))
    second = draw.choice(f"{name}.second_colour", tuple(COLOURS))
    texture: TextureKind = "marble" if draw.integer(f"{name}.marbled", 0, 1) else "plain"
    return Substance(
        words=colour if texture == "plain" or second == colour else f"{colour} and {second}",
        density=density * draw.uniform(f"{name}.density", 0.85, 1.15),
        friction=draw.uniform(f"{name}.friction", 0.6, 0.9),
        restitution=0.5,
        material=Material(
            colour=COLOURS[colour],
            second_colour=COLOURS[second],
            texture=texture,
            scale=draw.uniform(f"{name}.texture_scale", 0.12, 0.25),
            roughness=draw.uniform(f"{name}.roughness", 0.25, 0.7),
        ),
    )


def draw_cloth(draw: Draw, name: str) -> Substance:
    """What cloth is made of: two colours in a pattern."""
    colour = draw.choice(f"{name}.colour", tuple(COLOURS))
    second = draw.choice(f"{name}.second_colour", tuple(COLOURS))
    texture: TextureKind = _CLOTH_TEXTURES[draw.integer(f"{name}.texture", 0, len(_CLOTH_TEXTURES) - 1)]
    return Substance(
        words=colour if texture == "plain" or second == colour else f"{colour} and {second}",
        density=300.0,
        friction=draw.uniform(f"{name}.friction", 0.2, 0.5),
        restitution=0.3,
        material=Material(
            colour=COLOURS[colour],
            second_colour=COLOURS[second],
            texture=texture,
            scale=draw.uniform(f"{name}.texture_scale", 0.12, 0.3),
            roughness=draw.uniform(f"{name}.roughness", 0.4, 0.9),
        ),
    )


def draw_mirror(draw: Draw, name: str) -> Substance:
    """Polished metal that shows what is around it: silver, gold or copper."""
    kind = draw.choice(f"{name}.metal", tuple(_MIRRORS))
    return Substance(
        words=f"mirroring {kind}",
        density=2500.0 * draw.uniform(f"{name}.density", 0.85, 1.15),
        friction=draw.uniform(f"{name}.friction", 0.3, 0.5),
        restitution=draw.uniform(f"{name}.restitution", 0.5, 0.7),
        material=Material(colour=_MIRRORS[kind], roughness=0.02, specular=0.9, mirror=True),
    )


def draw_glass(draw: Draw, name: str, *, thin: bool = False) -> Substance:
    """Clear glass with a tint. `thin` panes bend no light, and annotations look through them."""
    tint = draw.choice(f"{name}.tint", tuple(_GLASSES))
    return Substance(
        words=f"{tint} glass".strip(),
        density=2500.0,
        friction=0.4,
        restitution=0.6,
        material=Material(
            colour=_GLASSES[tint],
            roughness=0.02,
            transmission=1.0,
            refractive_index=1.0 if thin else draw.uniform(f"{name}.index", 1.45, 1.6),
            clarity=0.3,
        ),
    )


def draw_liquid(draw: Draw, name: str, kinds: Sequence[str] = ("water", "orange juice", "red juice", "milk")) -> Liquid:
    """A liquid by its kind; colour and clearness vary."""
    kind = draw.choice(f"{name}.liquid", kinds)
    colour, transmission, index, density, viscosity = _LIQUIDS[kind]
    return Liquid(
        words=kind,
        material=Material(
            colour=colour,
            roughness=0.05,
            specular=0.03,
            transmission=transmission,
            refractive_index=index,
            clarity=draw.uniform(f"{name}.clarity", 0.15, 0.35),
        ),
        density=density * draw.uniform(f"{name}.density", 0.97, 1.03),
        viscosity=viscosity * draw.uniform(f"{name}.viscosity", 0.7, 1.4),
    )


def draw_sand(draw: Draw, name: str) -> Liquid:
    """Grains: their words, looks and density."""
    kind = draw.choice(f"{name}.grains", tuple(_SANDS))
    colour, second = _SANDS[kind]
    return Liquid(
        words=kind,
        material=Material(colour=colour, second_colour=second, texture="noise", scale=0.12, roughness=0.9),
        density=1600.0 * draw.uniform(f"{name}.density", 0.9, 1.1),
    )
