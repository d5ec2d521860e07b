"""Folders in, scores out: those of a plain implementation, resumed, in parallel, and with every kind of problem."""

import copy
from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.physics_iq.evaluate import Evaluation, evaluate
from phys4d_kedro.evaluation.physics_iq.metrics import Comparison
from phys4d_kedro.evaluation.physics_iq.report import summarise
from tests.evaluation.physics_iq import reference
from tests.evaluation.physics_iq.official_set import FRAMES, VIEWS, Configure, OfficialSet, film, write_h264, write_mp4v

EVENT = ("ball-falls", VIEWS[0])


def kinds(evaluation: Evaluation, file: str) -> dict[str, str]:
    """Problems of a file: their kind and effect."""
    return {problem.kind: problem.effect for problem in evaluation.problems if problem.file == file}


def figures(comparison: Comparison) -> dict[str, Any]:
    names = ("mse", "spatiotemporal_iou")
    values = {name: list(getattr(comparison, name)) for name in names}
    return values | {name: getattr(comparison, name) for name in ("spatial_iou", "weighted_spatial_iou")}


@pytest.mark.parametrize("exact", [True, False])
def test_every_figure_is_that_of_a_plain_implementation(
    official: OfficialSet, configure: Configure, tmp_path: Path, exact: bool
) -> None:
    official.generate()
    config = configure(exact=exact)
    evaluation = evaluate(config)
    table = reference.evaluate(official.root, official.generated, FRAMES, exact=exact, scratch=tmp_path)
    expected = {(row["scenario"], row["view"]): row for row in table}
    (records,) = evaluation.records.values()
    assert len(records) == len(expected) == 6
    for record in records:
        row = expected[record.view.scenario, record.view.perspective]
        assert figures(record.measured.generated) == row["model"]
        assert figures(record.measured.variance) == row["variance"]
        assert 0 < record.measured.generated.spatial_iou < 1
    results = summarise(evaluation, config)
    assert results["complete"]
    assert results["problems"] == []
    for rule, scores in reference.scores(copy.deepcopy(table)).items():
        for key, value in scores.items():
            assert results[rule][key] == pytest.approx(value, rel=1e-12), (rule, key)
        assert set(results[rule]["std"].values()) == {None}
    for scenario in ("ball-falls", "water-pours"):
        part = reference.scores([copy.deepcopy(row) for row in table if row["scenario"] == scenario])
        for rule, scores in part.items():
            assert results["scenarios"][scenario][rule]["score"] == pytest.approx(scores["score"], rel=1e-12)


def test_the_codec_moves_scores_and_the_output_says_when_it_is_left_out(
    official: OfficialSet, configure: Configure
) -> None:
    official.generate()
    results = {exact: summarise(evaluate(c := configure(exact=exact)), c) for exact in (True, False)}
    assert results[True]["verified"]["score"] != results[False]["verified"]["score"]
    assert results[True]["verified"]["mse"] == results[False]["verified"]["mse"]
    assert results[True]["rules"]["masks"].startswith("exact")
    assert results[False]["rules"]["masks"].startswith("approximate")


def test_seeds_have_a_mean_and_a_sample_deviation(official: OfficialSet, configure: Configure) -> None:
    scores = []
    for seed in (0, 1, 2):
        official.generate(f"seed_{seed}", seed=seed)
        alone = configure(generated_dir=str(official.generated / f"seed_{seed}"))
        scores.append(summarise(evaluate(alone), alone)["verified"]["score"])
    results = summarise(evaluate(configure()), configure())
    mean = sum(scores) / 3
    deviation = (sum((score - mean) ** 2 for score in scores) / 2) ** 0.5
    assert [results["seeds"][f"seed_{n}"]["verified"]["score"] for n in range(3)] == scores
    assert results["verified"]["score"] == pytest.approx(mean, rel=1e-12)
    assert results["verified"]["std"]["score"] == pytest.approx(deviation, rel=1e-9)
    assert deviation > 0
    assert results["scored_videos"] == 18


def test_processes_give_the_same(official: OfficialSet, configure: Configure, tmp_path: Path) -> None:
    official.generate()
    alone, several = evaluate(configure()), evaluate(configure(jobs=2, cache_dir=str(tmp_path / "other")))
    assert alone.records == several.records
    assert alone.problems == several.problems


def test_nothing_changes_in_the_folders_of_the_user(official: OfficialSet, configure: Configure) -> None:
    official.generate("seed_0")
    write_mp4v(official.generated / "seed_0" / "0099_odd.mp4", film(1, 3))

    def state() -> dict[Path, tuple[int, int]]:
        paths = [*official.root.rglob("*"), *official.generated.rglob("*")]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}

    before = state()
    evaluate(configure())
    assert state() == before


class TestCache:
    @pytest.fixture
    def measured(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Names of the videos that are opened to be decoded."""
        from phys4d_kedro.evaluation.physics_iq import videos

        opened: list[str] = []
        read = videos.read_frames

        def counted(path: Path, limit: int) -> Any:
            opened.append(path.name)
            return read(path, limit)

        monkeypatch.setattr(videos, "read_frames", counted)
        return opened

    def test_each_video_is_decoded_once(self, official: OfficialSet, configure: Configure, measured: list[str]) -> None:
        official.generate("seed_0")
        official.generate("seed_1", seed=1)
        evaluate(configure())
        real = [official.real(*event, take).name for event in official.events() for take in (1, 2)]
        assert sorted(measured) == sorted(real + 2 * [official.name(*event) for event in official.events()])

    def test_a_run_goes_on_after_what_is_finished(
        self, official: OfficialSet, configure: Configure, measured: list[str]
    ) -> None:
        official.generate()
        name = official.name(*EVENT)
        hidden = (official.generated / name).rename(official.root / "hidden.mp4")
        evaluate(configure())
        measured.clear()
        hidden.rename(official.generated / name)
        whole = evaluate(configure())
        assert sorted(measured) == sorted([official.real(*EVENT, 1).name, official.real(*EVENT, 2).name, name])
        measured.clear()
        assert evaluate(configure()).records == whole.records
        assert measured == []

    @pytest.mark.parametrize("change", ["content", "rules"])
    def test_what_decides_the_figures_is_in_the_key(
        self, official: OfficialSet, configure: Configure, measured: list[str], change: str
    ) -> None:
        official.generate()
        before = evaluate(configure())
        measured.clear()
        if change == "content":
            write_mp4v(official.generated / official.name(*EVENT), film(77))
            after = evaluate(configure())
            assert official.name(*EVENT) in measured
        else:
            after = evaluate(configure(exact=False))
            assert len(measured) == 18
        assert after.records != before.records

    def test_a_damaged_entry_is_measured_again(self, official: OfficialSet, configure: Configure) -> None:
        official.generate()
        before = evaluate(configure())
        for file in Path(configure().cache_dir).glob("*.json"):
            file.write_text(file.read_text()[:40])
        assert evaluate(configure()).records == before.records


class TestProblems:
    """Each is named; the others are scored all the same."""

    @pytest.fixture(autouse=True)
    def _generated(self, official: OfficialSet) -> None:
        official.generate()

    @pytest.mark.parametrize("content", [b"", b"not a video"])
    def test_unreadable(self, official: OfficialSet, configure: Configure, content: bytes) -> None:
        name = official.name(*EVENT)
        (official.generated / name).write_bytes(content)
        evaluation = evaluate(configure())
        assert kinds(evaluation, name) == {"unreadable": "left out"}
        assert len(evaluation.records["generated"]) == 5
        assert not summarise(evaluation, configure())["complete"]

    def test_missing(self, official: OfficialSet, configure: Configure) -> None:
        name = official.name(*EVENT)
        (official.generated / name).unlink()
        evaluation = evaluate(configure())
        assert kinds(evaluation, name) == {"missing": "left out"}
        results = summarise(evaluation, configure())
        assert not results["complete"]
        assert results["scored_videos"] == 5
        assert results["scenarios"]["ball-falls"]["scored_videos"] == 2

    def test_missing_take(self, official: OfficialSet, configure: Configure) -> None:
        take = official.real(*EVENT, 2)
        take.unlink()
        evaluation = evaluate(configure())
        assert kinds(evaluation, take.name) == {"missing": "left out"}
        assert len(evaluation.records["generated"]) == 5

    def test_unreadable_take(self, official: OfficialSet, configure: Configure) -> None:
        take = official.real(*EVENT, 1)
        take.write_bytes(b"not a video")
        evaluation = evaluate(configure())
        assert kinds(evaluation, take.name) == {"unreadable": "left out"}
        assert len(evaluation.records["generated"]) == 5

    @pytest.mark.parametrize(("frames", "effect"), [(FRAMES - 1, "scored"), (FRAMES // 2, "left out")])
    def test_short(self, official: OfficialSet, configure: Configure, frames: int, effect: str) -> None:
        name = official.name(*EVENT)
        write_mp4v(official.generated / name, official.film(*EVENT, 1, FRAMES)[:frames])
        evaluation = evaluate(configure())
        assert kinds(evaluation, name) == {"short": effect}
        scored = {record.view.name: record.measured for record in evaluation.records["generated"]}
        assert (name in scored) == (effect == "scored")
        if effect == "scored":
            assert scored[name].generated.frames == frames
            assert scored[name].variance.frames == FRAMES

    def test_odd_size_agrees_with_the_plain_implementation(
        self, official: OfficialSet, configure: Configure, tmp_path: Path
    ) -> None:
        name = official.name(*EVENT)
        path = write_h264(official.generated / name, film(official.seed(*EVENT), FRAMES, (49, 81)))
        evaluation = evaluate(configure())
        assert kinds(evaluation, name) == {"size": "scored"}
        assert len([p for p in evaluation.problems if p.file == name]) == 2  # odd, and of another shape
        scored = {record.view.name: record.measured for record in evaluation.records["generated"]}
        first = official.real(*EVENT, 1)
        assert figures(scored[name].generated) == reference.compare(
            path, first, first, FRAMES, exact=True, scratch=tmp_path
        )

    def test_no_motion_and_no_variance(self, official: OfficialSet, configure: Configure) -> None:
        name, takes = official.name(*EVENT), [official.real(*EVENT, take) for take in (1, 2)]
        write_mp4v(official.generated / name, film(1, still=True))
        write_mp4v(takes[1], film(official.seed(*EVENT), still=True))
        evaluation = evaluate(configure())
        assert kinds(evaluation, name) == {"no_motion": "scored"}
        assert kinds(evaluation, takes[1].name) == {"no_motion": "scored"}
        assert kinds(evaluation, takes[0].name) == {"zero_variance": "scored"}
        results = summarise(evaluation, configure())
        assert results["verified"]["score"] is not None

    def test_no_original_score_without_variance(self, official: OfficialSet, configure: Configure) -> None:
        for event in official.events():
            write_mp4v(official.real(*event, 2), film(official.seed(*event), still=True))
        results = summarise(evaluate(configure()), configure())
        assert results["original"]["score"] is None
        assert results["original"]["spatial_iou"] > 0
        named = [p for p in results["problems"] if p["file"] == "original.score"]
        assert [p["kind"] for p in named] == ["zero_variance"]
        assert "spatial_iou" in named[0]["message"]

    @pytest.mark.parametrize("native", [True, False])
    def test_another_frame_rate(self, official: OfficialSet, configure: Configure, native: bool) -> None:
        name, frames = official.name(*EVENT), 12
        video = write_mp4v(official.generated / name, official.film(*EVENT, 1, frames), 24)
        if native:
            for take in (1, 2):
                write_mp4v(official.real(*EVENT, take, 24), official.film(*EVENT, take, frames), 24)
        evaluation = evaluate(configure())
        (problem,) = [p for p in evaluation.problems if p.file == name]
        assert (problem.kind, problem.effect) == ("frame_rate", "scored")
        assert ("blended" in problem.message) != native
        scored = {record.view.name: record.measured for record in evaluation.records["generated"]}
        assert scored[name].generated.frames == scored[name].variance.frames == frames
        assert video.exists()
        if native:
            assert max(scored[name].generated.mse) == 0
            assert scored[name].generated.spatial_iou == 1
        else:
            assert max(scored[name].generated.mse) < 0.01

    def test_files_beside_the_expected_ones(self, official: OfficialSet, configure: Configure) -> None:
        name = official.name(*EVENT)
        (official.generated / name).rename(official.generated / "0001_another-name.mp4")
        (official.generated / "0123_unknown.mp4").write_bytes(b"x")
        evaluation = evaluate(configure())
        assert kinds(evaluation, "0001_another-name.mp4") == {"wrong_name": "scored"}
        assert kinds(evaluation, "0123_unknown.mp4") == {"extra": "left out"}
        assert len(evaluation.records["generated"]) == 6

    def test_shipped_masks_are_taken_and_unusable_ones_named(self, official: OfficialSet, configure: Configure) -> None:
        computed = evaluate(configure(shipped_masks=False))
        for event in official.events():
            for take in (1, 2):
                path = official.real(*event, take, kind="video-masks")
                path.parent.mkdir(parents=True, exist_ok=True)
                reference.write_masks(reference.native_masks(official.real(*event, take)), path)
        assert evaluate(configure()).records == computed.records
        mask = official.real(*EVENT, 1, kind="video-masks")
        reference.write_masks(reference.native_masks(official.real(*EVENT, 2)), mask)
        assert evaluate(configure()).records != computed.records
        mask.write_bytes(b"")
        damaged = evaluate(configure())
        assert kinds(damaged, mask.name) == {"masks": "scored"}
        assert damaged.records == computed.records

    def test_each_is_logged(
        self, official: OfficialSet, configure: Configure, caplog: pytest.LogCaptureFixture
    ) -> None:
        (official.generated / official.name(*EVENT)).unlink()
        evaluate(configure())
        assert f"generated: missing: {official.name(*EVENT)}" in caplog.text


def test_a_video_of_4_9_seconds_among_those_of_5(tmp_path: Path, configure: Configure) -> None:
    official = OfficialSet(tmp_path / "long", tmp_path / "long_generated", scenarios=("ball-falls",), frames=150)
    official.write()
    official.generate()
    name = official.name(*EVENT)
    write_mp4v(official.generated / name, official.film(*EVENT, 1)[:147])
    config = configure(dataset_dir=str(official.root), generated_dir=str(official.generated), seconds=5)
    evaluation = evaluate(config)
    (problem,) = evaluation.problems
    assert (problem.kind, problem.file, problem.effect) == ("short", name, "scored")
    assert "147 frames, 4.90 s" in problem.message
    assert [r.measured.generated.frames for r in evaluation.records["long_generated"]] == [147, 150, 150]


@pytest.mark.parametrize("field", ["dataset_dir", "generated_dir"])
def test_a_wrong_folder_stops_before_any_work(configure: Configure, tmp_path: Path, field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        evaluate(configure(**{field: str(tmp_path / "nowhere")}))
    assert not Path(configure().cache_dir).exists()
