"""Names and folders: what is expected, found, missing, extra and wrongly named."""

from pathlib import Path

import pytest

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.physics_iq.layout import UNKNOWN, Run, find_runs, match_videos, read_dataset
from tests.evaluation.physics_iq.official_set import OfficialSet


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.fixture
def layout(tmp_path: Path) -> OfficialSet:
    """Empty files, named as the data set's."""
    layout = OfficialSet(tmp_path / "set", tmp_path / "generated")
    for scenario, view in layout.events():
        for take in (1, 2):
            touch(layout.real(scenario, view, take))
    return layout


def described(layout: OfficialSet, *rows: str) -> None:
    text = "scenario,description,category,generated_video_name\n" + "".join(f"{row}\n" for row in rows)
    (layout.root / "descriptions.csv").write_text(text)


@pytest.mark.parametrize("spelling", ["testing-videos", "testing"])
def test_both_spellings_are_the_data_set(tmp_path: Path, spelling: str) -> None:
    layout = OfficialSet(tmp_path / "set", tmp_path, testing=spelling)
    touch(layout.real("ball-falls", "perspective-left", 1))
    dataset = read_dataset(layout.root)
    assert [view.name for view in dataset.views] == ["0001_perspective-left_ball-falls.mp4"]
    assert dataset.real(dataset.views[0], 1) == layout.real("ball-falls", "perspective-left", 1)
    assert dataset.real(dataset.views[0], 2) is None


def test_descriptions_give_names_prompts_and_categories(layout: OfficialSet) -> None:
    described(
        layout,
        '0001_perspective-left_take-1_ball-falls.mp4,"A ball, red, falls.",Solid Mechanics,0001_perspective-left_x.mp4',
        "0007_perspective-left_take-2_ball-falls.mp4,Again.,Solid Mechanics,unused.mp4",
    )
    (view,) = read_dataset(layout.root).views
    assert (view.id, view.second, view.scenario, view.perspective) == ("0001", "0007", "ball-falls", "perspective-left")
    assert (view.name, view.prompt) == ("0001_perspective-left_x.mp4", "A ball, red, falls.")
    assert view.category == "Solid Mechanics"


def test_without_descriptions_names_are_those_of_take_1(layout: OfficialSet) -> None:
    dataset = read_dataset(layout.root)
    assert [view.name for view in dataset.views] == [layout.name(*event) for event in layout.events()]
    assert {view.category for view in dataset.views} == {UNKNOWN}
    assert not dataset.described
    assert dataset.problems() == []


def test_real_videos_that_are_missing_extra_or_misnamed_are_listed(layout: OfficialSet) -> None:
    described(
        layout,
        "0001_perspective-left_take-1_ball-falls.mp4,,Optics,0001_perspective-left_ball-falls.mp4",
        "0007_perspective-left_take-2_ball-falls.mp4,,Optics,x.mp4",
    )
    layout.real("ball-falls", "perspective-left", 2).unlink()
    touch(layout.real("ball-falls", "perspective-left", 1).with_name("ball.mp4"))
    found = {(problem.kind, problem.file) for problem in read_dataset(layout.root).problems()}
    assert ("missing", "0007_testing-videos_30FPS_perspective-left_take-2_ball-falls.mp4") in found
    assert ("wrong_name", "ball.mp4") in found
    assert ("extra", layout.real("water-pours", "perspective-right", 2).name) in found
    assert len(found) == 2 + 10


@pytest.mark.parametrize("content", ["nothing", "a file", "other videos"])
def test_a_folder_that_is_not_the_data_set_is_refused(tmp_path: Path, content: str) -> None:
    root = tmp_path / "set"
    if content == "a file":
        touch(root)
    elif content == "other videos":
        touch(root / "split-videos" / "testing" / "30FPS" / "holiday.mp4")
    with pytest.raises(ConfigurationError, match="dataset_dir"):
        read_dataset(root)


@pytest.mark.parametrize("row", ["holiday.mp4,,Optics,x.mp4", "0001_perspective-top_take-1_a.mp4,,Optics,x.mp4"])
def test_descriptions_that_are_none_are_refused(layout: OfficialSet, row: str) -> None:
    described(layout, row)
    with pytest.raises(ConfigurationError, match=r"descriptions\.csv"):
        read_dataset(layout.root)


def test_seeds_are_subfolders_or_the_folder_or_a_list(tmp_path: Path) -> None:
    for name in ("seed_10", "seed_2", "other"):
        touch(tmp_path / name / "a.mp4")
    runs, problems = find_runs(str(tmp_path))
    assert [run.name for run in runs] == ["seed_2", "seed_10"]
    assert problems == []
    touch(tmp_path / "loose.mp4")
    assert [(p.kind, p.file) for p in find_runs(str(tmp_path))[1]] == [("extra", "loose.mp4")]
    assert [run.name for run in find_runs(str(tmp_path / "other"))[0]] == ["other"]
    listed = (str(tmp_path / "other"), str(tmp_path / "seed_2"))
    assert [run.name for run in find_runs(listed)[0]] == ["other", "seed_2"]
    touch(tmp_path / "more" / "other" / "a.mp4")
    same = (str(tmp_path / "other"), str(tmp_path / "more" / "other"))
    assert [run.name for run in find_runs(same)[0]] == [*same]


def test_a_seed_without_videos_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "seed_0" / "a.mp4")
    (tmp_path / "seed_1").mkdir()
    with pytest.raises(ConfigurationError, match="seed_1 holds no MP4"):
        find_runs(str(tmp_path))
    with pytest.raises(ConfigurationError, match="does not exist"):
        find_runs(str(tmp_path / "nowhere"))


def test_generated_files_are_matched_by_name_and_then_by_number(layout: OfficialSet) -> None:
    views = read_dataset(layout.root).views
    names = [view.name for view in views]
    folder = layout.generated
    files = [names[0], "0001_other.mp4", "0002_perspective-left_wrong.mp4", "0099_a.mp4", "00031.mp4", "notes.txt"]
    for name in (*files, ".hidden"):
        touch(folder / name)
    found, problems = match_videos(Run("seed_0", folder), views)
    assert found == {names[0]: folder / names[0], names[1]: folder / "0002_perspective-left_wrong.mp4"}
    listed = {(p.kind, p.file, p.effect) for p in problems}
    assert listed == {
        ("wrong_name", "0002_perspective-left_wrong.mp4", "scored"),
        *(("extra", name, "left out") for name in ("0001_other.mp4", "0099_a.mp4", "00031.mp4", "notes.txt")),
        *(("missing", name, "left out") for name in names[2:]),
    }
    assert {p.run for p in problems} == {"seed_0"}
