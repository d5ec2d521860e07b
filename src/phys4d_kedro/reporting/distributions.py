"""How the randomised attributes of scenes fall in the ranges that the scenes declare."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.randomization import Choice, Draw, Integer, Range
from phys4d_kedro.simulation.rollout import Rollout
from phys4d_kedro.simulation.scenes import SCENES
from phys4d_kedro.simulation.space import union
from phys4d_kedro.simulation.staging import draw_camera, stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 6
_BARS, _MARKS = "#8fb4d9", "#c4560f"
_MOST_MARKS = 8  # ranges that are told apart under a histogram
_LONGEST_LIST = 12  # whole numbers from a range up to so long have a bar each


@dataclass(frozen=True)
class Attribute:
    """Attributes of one meaning over things and scenes: `values` drawn, what from (`ranges`, each once), where."""

    name: str
    values: list[float | int | str]
    ranges: list[Range]
    scenes: int


def collect_attributes(names: Sequence[str], *, draws: int, seed: int) -> list[Attribute]:
    """What `draws` configurations of each of these scenes are, without simulating them.

    `ball.colour` and `block.colour` are one attribute, as are `turn_0` and `turn_1`.
    """
    return _group((name, draw) for index, name in enumerate(names) for draw in _declared(name, draws, [seed, index]))


def collect_looks(names: Sequence[str], config: SimulationConfig, *, draws: int) -> list[Attribute]:
    """Ground, light and camera of about `draws` configurations, spread over these scenes."""
    each = math.ceil(draws / len(names))
    return _group((name, draw) for index, name in enumerate(names) for draw in _looks(name, config, each, index))


def draw_distributions(attributes: Sequence[Attribute], *, title: str) -> "Figure":
    """A figure with a histogram an attribute; lines under numbers are the ranges that scenes declare, at most eight."""
    from matplotlib.figure import Figure

    down = math.ceil(len(attributes) / _ACROSS)
    figure = Figure(figsize=(2.1 * _ACROSS, 1.45 * down + 0.6), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    axes = figure.subplots(down, _ACROSS, squeeze=False).ravel()
    for axis, attribute in zip(axes, attributes, strict=False):
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(labelsize=6.5, length=2)
        axis.set_title(attribute.name.replace("_", " "), fontsize=8.5, loc="left", pad=3)
        where = f"{attribute.scenes} scene{'s' if attribute.scenes > 1 else ''}"
        axis.set_title(where, fontsize=6, loc="right", pad=3, color="0.5")
        if isinstance(attribute.ranges[0], Choice):
            _draw_options(axis, attribute)
        else:
            _draw_numbers(axis, attribute)
    for axis in axes[len(attributes) :]:
        axis.axis("off")
    return figure


def _declared(name: str, draws: int, seed: Sequence[int]) -> Iterator[Draw]:
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        draw = Draw(rng)
        SCENES[name].declare(draw)
        yield draw


def _looks(name: str, config: SimulationConfig, draws: int, index: int) -> Iterator[Draw]:
    rng = np.random.default_rng([config.seed, index, 1])
    for _ in range(draws):
        description = SCENES[name].declare(Draw(rng))
        draw, looks = Draw(rng), Draw(rng)
        camera, _ = draw_camera(description, config.camera, draw, frames=2, height=config.height, width=config.width)
        stage(description, _standing_still(description), camera, looks)
        draw.include(looks)
        yield draw


def _standing_still(description: Description) -> Rollout:
    """Two frames in which every part is at the origin: enough to draw looks for."""
    parts = [k for k, thing in enumerate(description.things) for _ in thing.parts]
    return Rollout(poses=np.tile(np.eye(4), (2, len(parts), 1, 1)), thing_of_part=parts)


@dataclass
class _Source:
    """One attribute of one scene: all that was drawn of it, and from what."""

    drawn_from: Range
    values: list[float | int | str] = field(default_factory=list)


def _group(draws: Iterator[tuple[str, Draw]]) -> list[Attribute]:
    """Attributes by meaning, in the order in which they first occur.

    One meaning is several attributes where it is a number here and an option there, or of other orders of magnitude
    (speeds in m/s and in degrees a second).
    """
    sources: dict[tuple[str, type[Range]], dict[tuple[str, str], _Source]] = defaultdict(dict)
    for scene, draw in draws:
        for name, declared in draw.space.items():
            source = sources[_meaning(name), type(declared)].setdefault((scene, name), _Source(declared))
            source.drawn_from = union(source.drawn_from, declared) or declared
            source.values.append(draw.values[name])
    return [
        Attribute(
            name=name,
            values=[value for _, source in alike for value in source.values],
            ranges=sorted({source.drawn_from for _, source in alike}, key=repr),
            scenes=len({scene for scene, _ in alike}),
        )
        for (name, _), found in sources.items()
        for alike in _by_magnitude([(scene, source) for (scene, _), source in found.items()])
    ]


def _by_magnitude(sources: Sequence[tuple[str, _Source]]) -> list[list[tuple[str, _Source]]]:
    """The sources, apart where the next larger one reaches more than ten times as far from zero."""
    parts: list[list[tuple[str, _Source]]] = []
    last = 0.0
    for scene, source in sorted(sources, key=lambda entry: _reach(entry[1].drawn_from)):
        if not parts or _reach(source.drawn_from) > 10 * last:
            parts.append([])
        parts[-1].append((scene, source))
        last = _reach(source.drawn_from)
    return parts


def _reach(drawn_from: Range) -> float:
    return 0.0 if isinstance(drawn_from, Choice) else max(abs(drawn_from.low), abs(drawn_from.high))


def _meaning(name: str) -> str:
    """The part of an attribute's name that things share: colour of ball.colour, turn of turn_x and turn_0."""
    return re.sub(r"_(\d+|[xyz])$", "", name.rpartition(".")[2])


def _draw_options(axis: "Axes", attribute: Attribute) -> None:
    """A bar an option, those never drawn included."""
    options = dict.fromkeys(option for r in attribute.ranges if isinstance(r, Choice) for option in r.options)
    counts = Counter(str(value) for value in attribute.values)
    shares = [counts[option] / len(attribute.values) for option in options]
    axis.barh(range(len(options)), shares, color=_BARS, height=0.8)
    size = 6.5 if len(options) < 9 else 65 / (len(options) + 1)
    axis.set_yticks(range(len(options)), options, fontsize=size)
    axis.tick_params(axis="y", length=0)
    axis.set_xticks([])
    axis.invert_yaxis()


def _draw_numbers(axis: "Axes", attribute: Attribute) -> None:
    """A histogram from the lowest to the highest number declared, over a line for each range."""
    ranges = sorted({(float(r.low), float(r.high)) for r in attribute.ranges if not isinstance(r, Choice)})
    low, high = min(bound[0] for bound in ranges), max(bound[1] for bound in ranges)
    whole = isinstance(attribute.ranges[0], Integer)
    if whole and high - low < _LONGEST_LIST:
        edges = np.arange(low, high + 2) - 0.5
        axis.set_xticks(np.arange(low, high + 1))
    else:
        edges = np.linspace(low, high, 31)
        axis.locator_params(axis="x", nbins=5)
    values = np.asarray(attribute.values, dtype=float)
    counts, _, _ = axis.hist(values, bins=edges.tolist(), color=_BARS, rwidth=0.8 if whole else None)
    shown = ranges if len(ranges) <= _MOST_MARKS else [(low, high)]
    top = float(np.max(counts))
    for k, (start, stop) in enumerate(shown):
        y = -top * (0.08 + 0.42 * k / max(len(shown), 3))
        axis.plot([start, stop], [y, y], color=_MARKS, lw=1.2, marker="|", ms=4, mew=1.2, solid_capstyle="butt")
    axis.set_ylim(-top * (0.16 + 0.42 * (len(shown) - 1) / max(len(shown), 3)), top * 1.05)
    axis.set_yticks([])
