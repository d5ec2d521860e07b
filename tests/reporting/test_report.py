"""The report of small inputs: complete, self-contained, and shown by a browser without complaint."""

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
from phys4d_kedro.reporting.report import make_sprite
from phys4d_kedro.reporting.sections import (
    RunFacts,
    collect_facts,
    notes_section,
    result_section,
    sample_depths,
)

PARAMETERS = ReportingConfig(predictor="heads", examples=2, sheet_columns=3, depth_clips=3, depth_pixels=50, seed=0)
FIGURES = (
    "depth_comparison",
    "motion_comparison",
    "depth_by_scene",
    "motion_by_scene",
    "loss_curves",
    "reward_curves",
    "clips_per_scene",
    "depth_distribution",
)


@pytest.fixture(scope="session")
def page(
    *,
    table: pd.DataFrame,
    metrics: dict[str, Any],
    sets: dict[str, ClipStore],
    predictions: ClipStore,
    histories: list[pd.DataFrame],
    rewards: pd.DataFrame,
    comparison: dict[str, Any],
) -> str:
    """The report, made by the pipeline's own nodes."""
    comparisons = nodes.plot_results(metrics, table, PARAMETERS)
    overview = nodes.plot_clips(**sets, parameters=PARAMETERS)
    training = nodes.plot_training(*histories), nodes.plot_rewards(rewards)
    figures = dict(zip(FIGURES, (*comparisons, *training, *overview), strict=True))
    figures["comparison_margins"] = comparison_margins(comparison)
    facts = nodes.collect_facts(
        **sets,
        table=table,
        durations={"train_heads_node": 90.0, "make_clips_node": 30.0},
        parameters=PARAMETERS,
    )
    facts = json.loads(json.dumps(facts))  # it passes through a file
    return nodes.write_report(
        metrics=metrics,
        comparison=json.loads(json.dumps(comparison)),
        heldout=sets["heldout"],
        predictions=predictions,
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
    assert set(figures) == {*FIGURES, "comparison_margins"}
    assert all(figure["data"] for figure in figures.values())
    assert [key for key in FIGURES if f'data-figure="{key}"' in page] == list(FIGURES)
    assert page.count('class="player"') == 2
    assert page.count("--sprite: url(data:image/png;base64,") == 2
    assert page.count('<img src="data:image/png;base64,') == 1  # the legend of motion


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


def test_headline_says_what_ran(page: str) -> None:
    headline = re.search(r'<p class="headline">(.*?)</p>', page)
    assert headline is not None
    assert "8 held-out clips of 2 scenes (5 frames of 16x16 pixels)" in headline[1]
    assert "AbsRel, scale-aligned 0.11 ± 0.02" in headline[1]
    assert "end-point error 0.51 ± 0.02 pixels" in headline[1]
    assert "spread of 3 trainings" in headline[1]
    assert "2.0 minutes" in headline[1]


def test_text_of_users_is_escaped(page: str) -> None:
    assert "a &#34;ball&#34; &lt;rolls&gt;" in page
    assert "<rolls>" not in page


def test_tables_show_values_margins_and_the_best(metrics: dict[str, Any]) -> None:
    values, margins = result_section(metrics, "heads", {}).tables
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
    sprite = make_sprite(example)
    assert sprite.shape == (4 * 16, 5 * 16, 3)
    np.testing.assert_array_equal(sprite[32:48, 16:32], example.panels[1][2])


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here: .ci/run installs it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_shows_the_page_without_errors(page: str, folder: Path, scheme: str) -> None:
    # The page reports on itself: once all figures are drawn, how many there are, and every error up to then.
    probe = """<script>
      const errors = [];
      addEventListener("error", (event) => errors.push(event.message));
      const complain = console.error;
      console.error = (...args) => { errors.push(args.join(" ")); complain(...args); };
    </script>"""
    finish = """<script>
      const slider = document.querySelector(".controls input"), seen = new Set();
      document.querySelector(".controls button").click();
      setInterval(() => seen.add(slider.value), 20);
      dispatchEvent(new Event("beforeprint"));
      setTimeout(() => {
        document.body.innerHTML = "<pre id=probe>" + JSON.stringify({
          drawn: [...document.querySelectorAll(".plot")].filter((plot) => plot.querySelector(".main-svg")).length,
          frames: seen.size,
          wide: document.documentElement.scrollWidth - innerWidth,
          errors }) + "</pre>";
      }, 1500);
    </script>"""
    file = folder / f"{scheme}.html"
    file.write_text(page.replace("<head>", "<head>" + probe).replace("</body>", finish + "</body>"))
    result = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=500,900"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=8000", "--dump-dom"),
            *(["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []),
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="probe">(.*?)</pre>', result.stdout)
    assert found is not None, result.stderr[-2000:]
    state = json.loads(found[1])
    assert state["errors"] == []
    assert state["drawn"] == len(FIGURES) + 1  # and the comparison's margins
    assert state["frames"] == 4  # the clip is playing
    assert state["wide"] <= 0  # nothing sticks out on a narrow screen
