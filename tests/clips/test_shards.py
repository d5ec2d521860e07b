"""Writing shards: the format, resuming, and what a full disk or a kill leaves behind."""

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.codecs import Request, decode
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource, map_in_order
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, InvalidClipError

from .conftest import contents, make_small


def test_layout_on_disk(source: ClipSource, tmp_path: Path) -> None:
    write_shards(source, str(tmp_path / "set"), clips_per_shard=3)
    names = ["shard-000000", "shard-000001", "shard-000002"]
    expected = {"index.json", *(f"shards/{n}.tar" for n in names), *(f"manifest/{n}.parquet" for n in names)}
    assert set(contents(tmp_path / "set")) == expected
    index = json.loads((tmp_path / "set/index.json").read_text())
    assert [shard["clips"] for shard in index["shards"]] == [3, 3, 1]
    assert index["clips"] == 7


def test_webdataset_reads_the_shards(source: ClipSource, tmp_path: Path) -> None:
    import webdataset

    write_shards(source, str(tmp_path), clips_per_shard=7)
    dataset = webdataset.WebDataset(str(tmp_path / "shards/shard-000000.tar"), shardshuffle=False)
    samples = list(dataset)
    assert [sample["__key__"] for sample in samples] == [f"sphere-{i:04d}" for i in range(7)]
    description = json.loads(samples[2]["json"])
    clip = make_small(2)
    assert description["prompt"] == clip.prompt
    layout = description["layouts"]["rgb"]
    [rgb] = decode([Request(layout, samples[2]["rgb.h264"], 0, clip.frames)])
    np.testing.assert_array_equal(rgb, clip.rgb)


def test_ids_with_dots_stay_one_sample_in_webdataset(tmp_path: Path) -> None:
    import webdataset

    write_shards([make_small(0).with_(clip_id="a.b.c")], str(tmp_path), clips_per_shard=1)
    dataset = webdataset.WebDataset(str(tmp_path / "shards/shard-000000.tar"), shardshuffle=False)
    assert [sample["__key__"] for sample in dataset] == ["a%2Eb%2Ec"]
    assert ClipStore(str(tmp_path)).ids == ["a.b.c"]


def test_jobs_and_repetition_do_not_change_a_byte(source: ClipSource, tmp_path: Path) -> None:
    write_shards(source, str(tmp_path / "a"), clips_per_shard=2)
    write_shards(source, str(tmp_path / "b"), clips_per_shard=2, jobs=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_clips_and_their_source_make_the_same_shards(source: ClipSource, tmp_path: Path) -> None:
    write_shards(source, str(tmp_path / "source"), clips_per_shard=3)
    write_shards((make_small(i) for i in range(7)), str(tmp_path / "clips"), clips_per_shard=3)
    first, second = contents(tmp_path / "source"), contents(tmp_path / "clips")
    assert {k: v for k, v in first.items() if k.endswith(".tar")} == {
        k: v for k, v in second.items() if k.endswith(".tar")
    }
    assert ClipStore(str(tmp_path / "source")).fingerprint == ClipStore(str(tmp_path / "clips")).fingerprint


@pytest.mark.parametrize(
    ("damage", "remade"),
    [
        (lambda root: (root / "manifest/shard-000001.parquet").unlink(), [3, 4, 5]),
        (lambda root: (root / "manifest/shard-000001.parquet").write_bytes(b"junk"), [3, 4, 5]),
        (lambda root: (root / "shards/shard-000002.tar").unlink(), [6]),
        (lambda root: os.truncate(root / "shards/shard-000000.tar", 5000), [0, 1, 2]),
        (lambda root: flip_byte(root / "shards/shard-000001.tar", 4000), [3, 4, 5]),
        (lambda root: (root / "index.json").unlink(), []),
        (lambda root: (root / "index.json").write_text("{"), []),
        (lambda root: (root / "shards/shard-000009.tar").write_bytes(b"stray"), []),
    ],
)
def test_only_damaged_shards_are_remade(
    counting: tuple[ClipSource, list[int]], tmp_path: Path, damage: Any, remade: list[int]
) -> None:
    source, made = counting
    write_shards(source, str(tmp_path), clips_per_shard=3)
    before = contents(tmp_path)
    damage(tmp_path)
    made.clear()
    write_shards(source, str(tmp_path), clips_per_shard=3)
    assert made == remade
    assert {k: v for k, v in contents(tmp_path).items() if "000009" not in k} == before


def flip_byte(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def test_a_complete_set_is_left_alone(counting: tuple[ClipSource, list[int]], tmp_path: Path) -> None:
    source, made = counting
    write_shards(source, str(tmp_path), clips_per_shard=3)
    stamps = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    made.clear()
    write_shards(source, str(tmp_path), clips_per_shard=3)
    assert made == []
    assert stamps == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}


@pytest.mark.parametrize("change", ["fingerprint", "coding", "length"])
def test_another_source_or_coding_replaces_the_shards(source: ClipSource, tmp_path: Path, change: str) -> None:
    write_shards(source, str(tmp_path / "old"), clips_per_shard=2)
    coding = ClipCoding(rgb="h264") if change == "coding" else ClipCoding()
    if change == "fingerprint":
        source = dataclasses.replace(source, fingerprint="v2")
    if change == "length":
        source = dataclasses.replace(source, count=3)
    write_shards(source, str(tmp_path / "old"), clips_per_shard=2, coding=coding)
    write_shards(source, str(tmp_path / "fresh"), clips_per_shard=2, coding=coding)
    assert contents(tmp_path / "old") == contents(tmp_path / "fresh")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_clip_stops_the_run_and_keeps_the_shards_before_it(
    source: ClipSource, tmp_path: Path, jobs: int
) -> None:
    def failing_make(index: int) -> Clip:
        if index == 5:
            raise InvalidClipError("clip 5 cannot be made")
        return make_small(index)

    with pytest.raises(InvalidClipError, match="clip 5 cannot be made"):
        write_shards(dataclasses.replace(source, make=failing_make), str(tmp_path), clips_per_shard=2, jobs=jobs)
    kept = set(contents(tmp_path))
    assert kept == {f"{d}/shard-{k:06d}.{e}" for k in (0, 1) for d, e in (("shards", "tar"), ("manifest", "parquet"))}
    assert not ClipStore.exists(str(tmp_path))


@pytest.mark.parametrize(
    ("per_shard", "message"),
    [
        (4, r"'sphere-0000' occurs twice: clip 0 of shard-000000 and clip 3 have it"),
        (3, r"'sphere-0000' occurs twice: clip 0 \(in shard-000000\) and clip 3 \(in shard-000001\) have it"),
    ],
)
def test_two_clips_of_one_id_are_refused(source: ClipSource, tmp_path: Path, per_shard: int, message: str) -> None:
    def repeating(index: int) -> Clip:
        return make_small(index % 3 if index < 4 else index)

    twice = dataclasses.replace(source, make=repeating)
    for _ in range(2):  # also where the shards are already there
        with pytest.raises(InvalidClipError, match=message):
            write_shards(twice, str(tmp_path / "source"), clips_per_shard=per_shard)
        assert not ClipStore.exists(str(tmp_path / "source"))
    with pytest.raises(InvalidClipError, match=message):
        write_shards((repeating(i) for i in range(7)), str(tmp_path / "clips"), clips_per_shard=per_shard)


def test_wrong_arguments_are_refused(source: ClipSource, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="clips_per_shard"):
        write_shards(source, str(tmp_path), clips_per_shard=0)
    with pytest.raises(ConfigurationError, match="backend 'dask': there are loky, ray"):
        write_shards(source, str(tmp_path), clips_per_shard=1, backend="dask")  # type: ignore[arg-type]


def test_an_error_in_finding_tasks_comes_through_after_the_results_before_it() -> None:
    def tasks() -> Iterator[int]:
        yield from range(5)
        raise PermissionError("no entry")

    found = map_in_order(abs, tasks(), jobs=2, backend="loky")
    assert [next(found) for _ in range(5)] == list(range(5))
    with pytest.raises(PermissionError, match="no entry"):
        next(found)


def test_redraws_are_a_column_of_the_manifest(tmp_path: Path) -> None:
    clips = [make_small(0).with_(parameters={"redraws": 2}), make_small(1)]
    write_shards(clips, str(tmp_path), clips_per_shard=1)
    redraws = ClipStore(str(tmp_path)).manifest["redraws"]
    assert str(redraws.dtype) == "Int64"
    assert redraws[0] == 2
    assert redraws.isna().tolist() == [False, True]


def test_a_pickled_store_leaves_behind_what_it_has_read(source: ClipSource, tmp_path: Path) -> None:
    write_shards(source, str(tmp_path), clips_per_shard=2)
    fresh = len(pickle.dumps(ClipStore(str(tmp_path))))
    store = ClipStore(str(tmp_path))
    assert (len(store.ids), len(store.manifest), store[6].clip_id) == (7, 7, "sphere-0006")
    assert len(pickle.dumps(store)) == fresh
    part = store.subset(["sphere-0004", "sphere-0001"])
    copy = pickle.loads(pickle.dumps(part))
    assert copy.ids == part.ids == ["sphere-0004", "sphere-0001"]
    assert copy[0].content_hash() == store.read("sphere-0004").content_hash()


WRITER = """
import sys, time
sys.path[:0] = {paths}
from clips.conftest import make_small
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource


def slow(index):
    time.sleep(0.1)
    return make_small(index)

write_shards(ClipSource(count=7, fingerprint="v1", make=slow, description="s"), sys.argv[1], clips_per_shard=2)
"""


def test_killed_and_resumed_equals_undisturbed(source: ClipSource, tmp_path: Path) -> None:
    write_shards(source, str(tmp_path / "undisturbed"), clips_per_shard=2)
    script = WRITER.format(paths=[str(Path(__file__).parents[1])])
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "killed")])
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed/shards/shard-000002.tar.part").exists() and time.monotonic() < deadline:
        assert process.poll() is None, "the writer ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = set(contents(tmp_path / "killed"))
    assert "shards/shard-000001.tar" in left
    assert "index.json" not in left
    write_shards(source, str(tmp_path / "killed"), clips_per_shard=2)
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
