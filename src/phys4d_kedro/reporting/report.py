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
from phys4d_kedro.reporting.player import Player, make_sprite

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Cell:
    """A cell of a table; `tone` is a class of the style sheet (ahead, behind, strong), `detail` smaller lines below."""

    text: str
    tone: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its heading. `groups`: headings over several columns, and over how many.

    One that `turns` has its columns as rows where the page is narrow.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    groups: Sequence[tuple[str, int]] = ()
    turns: bool = False

    def turned(self) -> "Table":
        """Columns as rows, without `groups`."""
        columns = [self.columns[0], *(row[0].text for row in self.rows)]
        rows = [[Cell(name), *cells] for name, *cells in zip(self.columns, *self.rows, strict=True)][1:]
        return Table(self.caption, columns, rows)


@dataclass(frozen=True)
class Section:
    """A part of the page: text, then tables, then clips to play, then figures by their keys."""

    heading: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    players: Sequence[Player] = ()
    figures: Mapping[str, "Figure"] = field(default_factory=dict)


def render_report(*, title: str, headline: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole page as HTML; equal arguments give equal bytes. The first sentence of the headline stands out."""
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
        motion_legend=png_uri(_transparent_disc(motion_legend(112))),
        style=Markup(texts["style.css"]),
        script=Markup(texts["script.js"]),
        plotly=Markup(get_plotlyjs()),
        figures=Markup(_figures_json(figures)),
    )


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
        "players": [_player_values(player) for player in section.players],
    }


def _player_values(player: Player) -> dict[str, Any]:
    """What the template needs of a player."""
    return {
        "clip_id": player.clip_id,
        "name": player.scene.replace("_", " ") or player.clip_id,
        "prompt": player.prompt,
        "fps": player.fps,
        "frames": player.frames,
        "panels": len(player.panels),
        "ratio": f"{player.size[1]} / {player.size[0]}",
        "sprite": png_uri(make_sprite(player)),
        "groups": [{"label": label, "panels": list(panels)} for label, panels in player.groups.items()],
        "note": player.note,
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
