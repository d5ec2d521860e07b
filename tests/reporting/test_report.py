"""The report of small inputs: complete, self-contained, and shown by a browser without complaint."""

import base64
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.statistics import summarise_scores
from phys4d_kedro.pipelines.reporting import nodes
from phys4d_kedro.reporting.comparison import comparison_margins
from phys4d_kedro.reporting.config import ReportingConfig
from phys4d_kedro.reporting.examples import make_example
from phys4d_kedro.reporting.player import example_player, make_sprite
from phys4d_kedro.reporting.sections import (
    RunFacts,
    collect_facts,
    heads_section,
    notes_section,
    sample_depths,
    training_section,
)
from phys4d_kedro.reporting.simiq import simiq_scores
from phys4d_kedro.reporting.suite import suite_horizons
from phys4d_kedro.training import run_metadata

PARAMETERS = ReportingConfig(
    predictor="heads", worlds=2, examples=2, sheet_columns=3, depth_clips=3, depth_pixels=50, seed=0
)
FIGURES = (
    "depth_comparison",
    "motion_comparison",
    "depth_by_scene",
    "motion_by_scene",
    "loss_curves",
    "validation_curves",
    "reward_curves",
    "clips_per_scene",
    "depth_distribution",
)
EARLIER_FIGURES = ("comparison_margins", "simiq_figure", "suite_horizons")


@pytest.fixture(scope="session")
def page(
    *,
    table: pd.DataFrame,
    metrics: dict[str, Any],
    sets: dict[str, ClipStore],
    predictions: ClipStore,
    histories: list[pd.DataFrame],
    worlds: ClipStore,
    validations: list[pd.DataFrame],
    rewards: pd.DataFrame,
    comparison: dict[str, Any],
    simiq: dict[str, Any],
    suite: dict[str, Any],
) -> str:
    """The report, made by the pipeline's own nodes."""
    comparisons = nodes.plot_results(metrics, table, PARAMETERS)
    overview = nodes.plot_clips(**sets, parameters=PARAMETERS)
    training = nodes.plot_training(*histories), nodes.plot_validations(*validations), nodes.plot_rewards(rewards)
    figures = dict(zip(FIGURES, (*comparisons, *training, *overview), strict=True))
    earlier = comparison_margins(comparison), simiq_scores(simiq), suite_horizons(suite)
    figures |= dict(zip(EARLIER_FIGURES, earlier, strict=True))
    facts = nodes.collect_facts(
        **sets,
        table=table,
        durations={"train_heads_node": 90.0, "make_clips_node": 30.0},
        parameters=PARAMETERS,
    )
    # They pass through files.
    facts, comparison, simiq, suite = (json.loads(json.dumps(part)) for part in (facts, comparison, simiq, suite))
    return nodes.write_report(
        metrics=metrics,
        comparison=comparison,
        simiq=simiq,
        suite=suite,
        heldout=sets["heldout"],
        predictions=predictions,
        worlds=worlds,
        facts=facts,
        parameters=PARAMETERS,
        **figures,
    )


@pytest.fixture
def facts(heldout: ClipStore) -> RunFacts:
    """What ran."""
    return collect_facts(heldout, {"train": heldout}, {}, seeds=3)


class References(HTMLParser):
    """Collects what a page would load, and the text of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        for name, value in attrs:
            if name in ("src", "href", "data", "srcset", "action", "poster") and value:
                self.loaded.append(value)
            if name == "style" and value:
                self.loaded += re.findall(r"url\((.*?)\)", value)


def test_page_has_every_figure_and_clip(page: str) -> None:
    content = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert content is not None
    figures = json.loads(content[1])
    assert set(figures) == {*FIGURES, *EARLIER_FIGURES}
    assert all(figure["data"] for figure in figures.values())
    assert [key for key in figures if f'data-figure="{key}"' not in page] == []
    assert page.count('class="player"') == 4  # worlds of two clips, predictions of two
    assert page.count('data-sprite="data:image/png;base64,') == 4
    assert page.count('<img src="data:image/png;base64,') == 2  # the legend of motion


def test_page_loads_nothing_from_elsewhere(page: str) -> None:
    references = References()
    references.feed(page)
    assert references.loaded
    assert [r[:60] for r in references.loaded if not r.startswith(("data:", "#"))] == []
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "http" not in style[1]
    assert "@import" not in style[1]
    assert references.counts["script"] == 3


def test_the_page_begins_with_what_improved_then_the_table_then_the_worlds(page: str) -> None:
    headline = re.search(r'<p class="headline">(.*?)</p>', page)
    assert headline is not None
    assert headline[1].startswith("All three stages together are surely better than the video model alone in ")
    order = ["All three stages together", "+ appearance-only control", "Phys4D, arXiv 2603.03485", 'id="watch"']
    places = [page.index(text) for text in order if text in page]
    assert places == sorted(places)
    assert len(places) == 3  # no control was trained here
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert re.findall(r'<th scope="row">(.*?)</th>', tables[0]) == ["video model", "+ stages 1-2", "+ stage 3"]
    assert '<th colspan="6" scope="colgroup">SimIQ</th>' in tables[0]
    assert (
        '<th colspan="3" scope="colgroup">worlds, 4D suite</th>' in tables[2]
    )  # the one between is the first, turned for phones


def test_the_section_of_heads_says_what_ran(page: str) -> None:
    section = page[page.index('id="stage-1"') :]
    assert "8 held-out clips of 2 scenes (5 frames of 16x16 pixels)" in section
    assert "AbsRel, scale-aligned 0.11 ± 0.02" in section
    assert "end-point error 0.51 ± 0.02 pixels" in section
    assert "spread of 3 trainings" in section
    assert "2.0 minutes" in section


def test_text_of_users_is_escaped(page: str) -> None:
    assert "a &#34;ball&#34; &lt;rolls&gt;" in page
    assert "<rolls>" not in page


def test_tables_show_values_margins_and_the_best(metrics: dict[str, Any], facts: RunFacts) -> None:
    values, margins = heads_section(metrics, "heads", facts, {}).tables
    assert values.columns[1:3] == ["heads", "constant median depth, no motion"]
    assert values.columns[-1] == "exact annotations"
    heading, heads, constant, pixel, exact = values.rows[0]
    assert exact.tone == ""
    assert heading.text == "Depth AbsRel, scale-aligned, whole image"
    assert (heads.text, heads.tone) == ("0.11 ± 0.02", "")
    assert (constant.text, constant.tone) == ("0.39", "")
    assert (pixel.text, pixel.tone) == ("0.04", "strong")
    _, constant, pixel = margins.rows[0]
    assert (constant.text, constant.tone) == ("+0.280 ± 0.020", "ahead")
    assert (pixel.text, pixel.tone) == ("-0.070 ± 0.020", "behind")
    assert constant.detail.startswith("+0.2")
    assert [cell.text for cell in margins.rows[2]][-1] == "n/a"  # the motion of pixel_median


def test_notes_name_what_is_not_won(table: pd.DataFrame, metrics: dict[str, Any], facts: RunFacts) -> None:
    text = " ".join(notes_section(metrics, "heads", facts).paragraphs)
    assert "Depth AbsRel, scale-aligned, whole image: not surely better than per-pixel median" in text
    assert "constant median" not in text
    only_won = table[table["predictor"] != "pixel_median"]
    won = summarise_scores(only_won, subject="heads", resamples=50, seed=0)
    assert "are ahead of everything else" in " ".join(notes_section(won, "heads", facts).paragraphs)
    once = replace(facts, seeds=1)
    assert "With a single training" in " ".join(notes_section(metrics, "heads", once).paragraphs)


def test_depths_are_drawn_by_the_seed(heldout: ClipStore, real: ClipStore) -> None:
    assert sample_depths(real, clips=3, pixels=5, seed=0).size == 0
    first, second = (sample_depths(heldout, clips=3, pixels=50, seed=0) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, sample_depths(heldout, clips=3, pixels=50, seed=1))


def test_sprite_has_a_row_a_frame_and_a_column_a_panel(heldout: ClipStore) -> None:
    example = make_example(heldout[0], heldout[0])
    sprite = make_sprite(example_player(example))
    assert sprite.shape == (4 * 16, 5 * 16, 3)
    np.testing.assert_array_equal(sprite[32:48, 16:32], example.panels[1][2])


PROBE = """<script>
  const errors = [];
  addEventListener("error", (event) => errors.push(event.message));
  const complain = console.error;
  console.error = (...args) => { errors.push(args.join(" ")); complain(...args); };
</script>"""
# Once all figures are drawn the page reports on itself: how many there are, what a reader's keys and buttons do, what
# is wider than the window, and every error up to then.
FINISH = """<script>
  const players = [...document.querySelectorAll(".players")[0].querySelectorAll(".player")];
  const slider = players[0].querySelector("input"), seen = new Set();
  const press = (key) => players[0].dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
  press("ArrowRight"); press("ArrowRight"); press("ArrowLeft");
  const stepped = slider.value;
  const panels = [...players[0].querySelectorAll(".panel")];
  const picture = new Image(), style = getComputedStyle(panels[0]).backgroundImage;
  picture.src = style.slice(5, -2);
  const same = panels.every((panel) => getComputedStyle(panel).backgroundImage === style);
  const together = new Set(panels.map((panel) => getComputedStyle(panel).backgroundPositionY)).size;
  press(" ");
  setInterval(() => seen.add(slider.value), 20);
  dispatchEvent(new Event("beforeprint"));
  setTimeout(() => {
    const frames = seen.size;
    const shown = () => players.map((player) => !player.hidden);
    const first = shown();
    document.querySelectorAll(".picker button")[1].click();
    const fixed = [...document.querySelectorAll("body *")].filter((e) => !e.closest(".scroll, nav, .plot > *"));
    const wide = fixed.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className);
    parent.postMessage(JSON.stringify({
      drawn: [...document.querySelectorAll(".plot")].filter((plot) => plot.querySelector(".main-svg")).length,
      stepped, same, painted: [picture.naturalWidth, picture.naturalHeight],
      together, frames, first, second: shown(), wide, inner: innerWidth,
      scroll: document.documentElement.scrollWidth - innerWidth, errors }), "*");
  }, 2500);
</script>"""


# Chromium's windows are 500 pixels wide at least; a frame in one is as narrow as a phone.
FRAME = """<body style="margin: 0"><iframe src="{page}" style="width: {width}px; height: 800px; border: 0"></iframe>
<script>addEventListener("message", (event) => {{
  document.body.innerHTML = "<pre id=probe></pre>";
  document.body.firstChild.textContent = event.data;
}});</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here: .ci/run installs it")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_browser_shows_the_page_without_errors(page: str, folder: Path, scheme: str, width: int) -> None:
    inner = folder / f"{scheme}_page.html"
    large = re.sub(r"(?<=data-sprite=\"data:image/png;base64,)[^\"]+", enlarged, page, count=1)
    assert len(large) - len(page) > 3e6
    inner.write_text(large.replace("<head>", "<head>" + PROBE).replace("</body>", FINISH + "</body>"))
    file = folder / f"{scheme}.html"
    file.write_text(FRAME.format(page=inner.name, width=width))
    state = probe(file, folder, scheme)
    assert state["errors"] == []
    assert state["inner"] == width
    assert state["drawn"] == len(FIGURES) + len(EARLIER_FIGURES)
    assert state["stepped"] == "1"  # two steps on and one back
    assert state["same"]
    assert state["painted"] == [9 * 16, 4 * 16]  # a sprite of 3 MB is shown
    assert state["together"] == 1  # all panels show the same frame
    assert state["frames"] == 4  # the clip is playing
    assert (state["first"], state["second"]) == ([True, False], [False, True])
    assert state["wide"] == []  # nothing sticks out but what scrolls by itself
    assert state["scroll"] <= 0


def enlarged(picture: re.Match[str]) -> str:
    """A picture in base64 with 3 MB behind its end, which is shown as before."""
    return base64.b64encode(base64.b64decode(picture[0]) + bytes(3 * 2**20)).decode()


def probe(file: Path, folder: Path, scheme: str) -> dict[str, Any]:
    """What the page in the frame of a file reports of itself."""
    result = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1300,900"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=9000", "--dump-dom"),
            *(["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []),
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="probe">(.+?)</pre>', result.stdout)
    assert found is not None, result.stderr[-2000:]
    return dict(json.loads(html.unescape(found[1])))


def test_the_page_says_which_run_wrote_it(heldout: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["kedro", "run", "--params=seed=7"])
    assert collect_facts(heldout, {}, {}, seeds=1).run == ()
    run_metadata.declare(seed=7, parameters={}, root=tmp_path)
    section = training_section(collect_facts(heldout, {}, {}, seeds=1), {})
    said = {row[0].text: row[1].text for row in section.tables[0].rows}
    assert "--params=seed=7" in said["Command"]
    assert said["Seed"] == "7"
    assert said["Git commit"] == "not in Git"
