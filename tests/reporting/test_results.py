"""The table that the page begins with: what it holds, what is surely ahead, and that the sentence says the same."""

from typing import Any

import pytest

from phys4d_kedro.reporting.paper import paper_table
from phys4d_kedro.reporting.results import (
    margin_table,
    result_columns,
    result_section,
    result_table,
    write_verdict,
)


def margin(mean: float, low: float, high: float) -> dict[str, float]:
    return {"mean": mean, "low": low, "high": high}


def suite_of(*margins: dict[str, float], baseline: float = 2.0, seed_std: float | None = 0.1) -> dict[str, Any]:
    """A suite of one metric a margin: that of stage 3 over the video model, and half of it over the control."""
    names = ("depth_abs_rel", "warp_residual", "chamfer_4d")
    return {
        "heads": {
            name: {
                "means": {
                    "stage1": {"mean": baseline, "seed_std": None},
                    "appearance_control": {"mean": baseline, "seed_std": seed_std},
                    "rl": {"mean": baseline - found["mean"], "seed_std": seed_std},
                },
                "margins": {
                    "rl": {
                        "stage1": found,
                        "appearance_control": {key: value / 2 for key, value in found.items()},
                    }
                },
            }
            for name, found in zip(names, margins, strict=False)
        }
    }


NOTHING: dict[str, Any] = {"scores": {}, "margins": {}}


def test_columns_are_the_papers_then_the_suites(simiq: dict[str, Any], suite: dict[str, Any]) -> None:
    columns = result_columns(simiq, suite)
    assert [column.label for column in columns] == [
        "MSE (1e-3) ↓",
        "ST-IoU ↑",
        "S-IoU ↑",
        "WS-IoU ↑",
        "score (%) ↑",
        "Verified score (%) ↑",
        "Depth AbsRel, by heads ↓",
        "4D Chamfer, by heads (m) ↓",
        "4D Chamfer, by estimators (m) ↓",
    ]
    table = result_table(columns, "a caption")
    assert table.groups == [("", 1), ("SimIQ", 6), ("worlds, 4D suite", 3)]
    assert [row[0].text for row in table.rows] == ["video model", "+ stages 1-2", "+ stage 3"]
    assert [cell.text for cell in table.rows[0][1:6]] == ["15", "0.15", "0.15", "0.15", "25"]
    assert [cell.text for cell in table.rows[2][7:]] == ["4.6", "2.3", "2.3"]
    # Every error of a clip is halved in stage 2; stage 3 doubles that of depth.
    sft, rl = table.rows[1][7], table.rows[2][7]
    assert (sft.tone, rl.tone) == ("strong ahead", "behind")
    assert sft.detail.splitlines()[0] == "+1.1"
    assert not table.rows[0][7].detail


def test_simiq_and_4d_have_a_table_each(simiq: dict[str, Any], suite: dict[str, Any]) -> None:
    read = {"means": {s: {"mean": 2.0, "seed_std": None} for s in ("stage1", "sft")}, "margins": {}}
    columns = result_columns(simiq, suite, {"perception": {"epe_objects": read, "abs_rel_image": read}})
    first, second, *_ = result_section(columns, simiq).tables
    assert first.groups == [("", 1), ("SimIQ", 6)]
    assert second.groups == [("", 1), ("reading true videos", 1), ("worlds, 4D suite", 3)]
    assert second.rows[0][1].text == "2"


def test_turned_tables_hold_the_same(simiq: dict[str, Any], suite: dict[str, Any]) -> None:
    table = result_table(result_columns(simiq, suite), "a caption")
    turned = table.turned()
    assert list(turned.columns) == ["", "video model", "+ stages 1-2", "+ stage 3"]
    assert [[row[i] for row in turned.rows] for i in (1, 2, 3)] == [list(row[1:]) for row in table.rows]
    assert [row[0].text for row in turned.rows] == list(table.columns[1:])


def test_the_second_table_compares_with_the_control_where_there_are_intervals() -> None:
    columns = result_columns(NOTHING, suite_of(margin(0.4, 0.2, 0.6), margin(-0.2, -0.6, 0.2)))
    table = margin_table(columns)
    assert [row[0].text for row in table.rows] == ["+ stage 3, over appearance-only control"]
    assert [(cell.text, cell.tone) for cell in table.rows[0][1:]] == [("+0.2", "ahead"), ("-0.1", "")]


def test_the_verdict_says_how_many_by_how_much_and_how_sure() -> None:
    margins = margin(0.4, 0.2, 0.6), margin(-0.5, -1.0, -0.1), margin(0.1, -0.1, 0.3)
    first, amounts, control = write_verdict(result_columns(NOTHING, suite_of(*margins)))
    assert first == (
        "All three stages together are surely better than the video model alone in 1 of 3 figures, surely worse in 1; "
        "1 could go either way."
    )
    assert amounts == "Depth AbsRel, by heads 20 % better (10 to 30); Warp residual, by heads 25 % worse (5 to 50)."
    assert "without their physics in 1 of 3 figures" in control
    assert "10 % better (5 to 15)" in control


def test_the_verdict_admits_that_nothing_improved_and_what_one_training_leaves_open() -> None:
    columns = result_columns(NOTHING, suite_of(margin(0.2, -0.2, 0.6), margin(0.0, -0.1, 0.1), seed_std=None))
    first, nearest, _, trainings = write_verdict(columns)
    assert "in none of 2 figures, surely worse in none; 2 could go either way" in first
    assert nearest == "Nearest to sure: Depth AbsRel, by heads 10 % better (-10 to 30)."
    assert trainings.startswith("With one training of a stage")


@pytest.mark.parametrize("suite", [{}, {"heads": {}}])
def test_without_stages_there_is_no_verdict_and_no_table(suite: dict[str, Any]) -> None:
    assert write_verdict(result_columns(NOTHING, suite)) == ["No stage with physics was compared with the video model."]


def test_a_figure_that_is_not_defined_is_not_shown_as_a_number(simiq: dict[str, Any]) -> None:
    scores = {
        stage: {**rules, "original": {**rules["original"], "score": None}} for stage, rules in simiq["scores"].items()
    }
    margins = {
        s: {o: {**rules, "original": dict.fromkeys(rules["original"])} for o, rules in m.items()}
        for s, m in simiq["margins"].items()
    }
    section = result_section(result_columns({**simiq, "scores": scores, "margins": margins}, {}), simiq)
    assert [row[5].text for row in section.tables[0].rows] == ["n/a"] * 3
    assert "SimIQ nano-short-1: 4 simulated scenarios" in section.tables[0].caption


def test_the_papers_gains_are_those_that_it_states_and_the_table_says_whose_it_is() -> None:
    table = paper_table()
    assert "arXiv 2603.03485" in table.caption
    assert "Not measured here" in table.caption
    assert [row[-1].detail for row in table.rows if row[0].text == "+ Phys4D"] == [
        "1.61 times",
        "1.52 times",
        "1.54 times",
    ]
    assert {len(row) for row in table.rows} == {len(table.columns)}
