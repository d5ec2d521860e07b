"""The report: one HTML file that needs nothing beside it, readable offline, on a phone, in light and dark."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.reporting.colors import motion_legend
from phys4d_kedro.reporting.examples import PANELS, Example

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Cell:
    """A cell of a table; `tone` is a class of the style sheet (ahead, behind, strong), `detail` a small second line."""

    text: str
    tone: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its heading."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Section:
    """A part of the page: text, then tables, then clips to play, then figures by their keys."""

    heading: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    examples: Sequence[Example] = ()
    figures: Mapping[str, "Figure"] = field(default_factory=dict)


def render_report(*, title: str, headline: str, sections: Sequence[Section]) -> str:
    """The whole page as HTML; equal arguments give equal bytes."""
    from jinja2 import Environment
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    page = files("phys4d_kedro.reporting") / "page"
    texts = {name: (page / name).read_text(encoding="utf-8") for name in ("report.html", "style.css", "script.js")}
    figures = {key: figure for section in sections for key, figure in section.figures.items()}
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(texts["report.html"]).render(
        title=title,
        headline=headline,
        sections=[_section_values(section) for section in sections],
        panels=PANELS,
        motion_legend=png_uri(_transparent_disc(motion_legend(112))),
        style=Markup(texts["style.css"]),
        script=Markup(texts["script.js"]),
        plotly=Markup(get_plotlyjs()),
        figures=Markup(_figures_json(figures)),
    )


def make_sprite(example: Example) -> NDArray[np.uint8]:
    """The pictures of an example side by side, (frames * H, panels * W, 3): a column a panel, a row a frame."""
    return np.concatenate(list(np.concatenate(example.panels, axis=2)), axis=0)


def png_uri(image: NDArray[np.uint8]) -> str:
    """An image (H, W, 3 or 4) as a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _section_values(section: Section) -> dict[str, Any]:
    """What the template needs of a section."""
    return {
        "anchor": section.heading.lower().replace(" ", "-"),
        "heading": section.heading,
        "paragraphs": section.paragraphs,
        "tables": section.tables,
        "plots": [{"key": key} for key in section.figures],
        "players": [
            {
                "clip_id": example.clip_id,
                "prompt": example.prompt,
                "fps": example.fps,
                "frames": example.frames,
                "ratio": f"{example.size[1]} / {example.size[0]}",
                "sprite": png_uri(make_sprite(example)),
                "note": (
                    f"{example.scene + '; ' if example.scene else ''}depth from {example.near:.2g} to "
                    f"{example.far:.2g} m; full motion colour at {example.motion_scale:.2g} px a frame"
                ),
            }
            for example in section.examples
        ],
    }


def _figures_json(figures: Mapping[str, "Figure"]) -> str:
    """Figures by key, safe inside a script element."""
    content = {key: json.loads(figure.to_json()) for key, figure in figures.items()}
    return json.dumps(content, sort_keys=True).replace("</", "<\\/").replace("<!--", "<\\u0021--")


def _transparent_disc(legend: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = len(legend)
    step = (np.arange(size) + 0.5) / size * 2 - 1
    inside = np.hypot(*np.meshgrid(step, step)) <= 1
    return np.dstack([legend, np.where(inside, 255, 0).astype(np.uint8)])
