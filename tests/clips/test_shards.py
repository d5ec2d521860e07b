"""Writing shards: the format, resuming, and what a full disk or a kill leaves behind."""

import dataclasses
import errno
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem

from phys4d_kedro.clips import manifest
from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.codecs import Request, decode
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource, map_in_order
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, CorruptShardError, InvalidClipError, StorageFullError

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


class CountingMake:
    """Makes clips and notes which."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, index: int) -> Clip:
        self.made.append(index)
        return make_small(index)


@pytest.fixture
def counting(source: ClipSource) -> tuple[ClipSource, list[int]]:
    make = CountingMake()
    return dataclasses.replace(source, make=make), make.made


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


class TestMachines:
    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
    def test_shares_make_the_set_that_one_machine_makes(
        self, counting: tuple[ClipSource, list[int]], tmp_path: Path, order: tuple[int, ...]
    ) -> None:
        source, made = counting
        write_shards(source, str(tmp_path / "one"), clips_per_shard=2)
        made.clear()
        for index in order:
            assert not ClipStore.exists(str(tmp_path / "three"))
            write_shards(dataclasses.replace(source, share=(index, 3)), str(tmp_path / "three"), clips_per_shard=2)
        shares = {0: [0, 1, 6], 1: [2, 3], 2: [4, 5]}
        assert made == [clip for index in order for clip in shares[index]]
        assert contents(tmp_path / "three") == contents(tmp_path / "one")

    def test_an_unfinished_set_says_how_much_is_missing_and_is_not_loaded(
        self, source: ClipSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="phys4d_kedro")
        write_shards(dataclasses.replace(source, share=(1, 3)), str(tmp_path), clips_per_shard=2)
        assert "3 of 4 shards" in caplog.text
        with pytest.raises(CorruptShardError, match="other machines are still at it"):
            ClipStore(str(tmp_path))

    def test_any_run_completes_what_all_have_made(self, counting: tuple[ClipSource, list[int]], tmp_path: Path) -> None:
        source, made = counting
        write_shards(source, str(tmp_path), clips_per_shard=2)
        before = contents(tmp_path)
        for share in ((1, 2), (0, 1), (7, 9)):  # the last has no shard of its own
            (tmp_path / "index.json").unlink()
            made.clear()
            write_shards(dataclasses.replace(source, share=share), str(tmp_path), clips_per_shard=2)
            assert made == []
            assert contents(tmp_path) == before

    def test_what_another_source_left_counts_as_missing_and_is_never_read(
        self, source: ClipSource, tmp_path: Path
    ) -> None:
        write_shards(source, str(tmp_path / "set"), clips_per_shard=2)
        changed = dataclasses.replace(source, fingerprint="v2", count=5, make=make_other)
        write_shards(dataclasses.replace(changed, share=(0, 2)), str(tmp_path / "set"), clips_per_shard=2)
        assert not ClipStore.exists(str(tmp_path / "set"))
        write_shards(dataclasses.replace(changed, share=(1, 2)), str(tmp_path / "set"), clips_per_shard=2)
        store = ClipStore(str(tmp_path / "set"))
        assert store.ids == [f"other-{i}" for i in range(5)]
        assert (tmp_path / "set/shards/shard-000003.tar").exists()  # of the old source; several machines remove nothing

    def test_the_index_of_a_machine_that_was_faster_stays(self, source: ClipSource, tmp_path: Path) -> None:
        """It may have been written between this machine's look at the other's parts and its own end."""
        write_shards(source, str(tmp_path), clips_per_shard=2)
        (tmp_path / "manifest/shard-000001.parquet").unlink()
        write_shards(dataclasses.replace(source, share=(0, 2)), str(tmp_path), clips_per_shard=2)
        assert ClipStore.exists(str(tmp_path))
        with pytest.raises(CorruptShardError, match=r"shard-000001\.parquet' is missing"):
            ClipStore(str(tmp_path))[3]

    def test_processes_that_end_together_leave_a_whole_set(self, source: ClipSource, tmp_path: Path) -> None:
        def finish(index: int) -> None:
            share = dataclasses.replace(source, share=(index, 4))
            write_shards(share, str(tmp_path), clips_per_shard=2)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(finish, range(4)))
        assert len(ClipStore(str(tmp_path))) == 7


def make_other(index: int) -> Clip:
    return make_small(index).with_(clip_id=f"other-{index}")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_million_clips_start_at_once_in_little_memory(tmp_path: Path, jobs: int) -> None:
    source = ClipSource(count=1_000_000, fingerprint="f", make=only_the_first, description="Many")
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(InvalidClipError, match="the second clip was asked for"):
            write_shards(source, str(tmp_path), clips_per_shard=64, jobs=jobs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 20
    assert peak < 20e6


def only_the_first(index: int) -> Clip:
    if index:
        time.sleep(0.05)
        raise InvalidClipError("the second clip was asked for")
    return make_small(index)


def test_the_census_of_many_ids_is_small_and_finds_the_one_that_repeats() -> None:
    fs, root = fsspec.filesystem("memory"), "/census"
    census = manifest.Census()
    ids = [f"train-ball_ramp-{i:012x}-v0-t0" for i in range(200_000)]
    ids[150_000] = ids[3]
    per_shard = 50_000
    for k in range(4):
        rows = [{"clip_id": clip_id, "content_hash": "0"} for clip_id in ids[k * per_shard : (k + 1) * per_shard]]
        manifest.write_part(fs, root, manifest.ShardEntry(f"s{k}", "f", per_shard, 0, ""), rows)
    tracemalloc.start()
    for k in range(4):
        census.add(*manifest.read_part(fs, root, f"s{k}", census.COLUMNS))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 20 * len(ids)
    with pytest.raises(InvalidClipError, match=r"clip 3 \(in s0\) and clip 150000 \(in s3\)"):
        census.refuse_duplicates(fs, root)


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


class SmallDisk(LocalFileSystem):
    """A local file system with room for `space` bytes."""

    protocol = "smalldisk"
    cachable = False
    space = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("smalldisk://"))

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        file = super()._open(path, mode, **kwargs)
        return LimitedFile(file) if "w" in mode else file


class LimitedFile(io.RawIOBase):
    """Writes as far as the disk has space."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, data: Any) -> int:
        SmallDisk.space -= len(data)
        if SmallDisk.space < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def close(self) -> None:
        self.file.close()
        super().close()


def test_a_full_disk_keeps_what_was_complete_and_resumes(source: ClipSource, tmp_path: Path) -> None:
    write_shards(source, str(tmp_path / "undisturbed"), clips_per_shard=2)
    sizes = {name: len(content) for name, content in contents(tmp_path / "undisturbed").items()}
    room = sum(size for name, size in sizes.items() if "00000" in name and int(name.split(".")[0][-1]) < 2)
    fsspec.register_implementation("smalldisk", SmallDisk, clobber=True)
    SmallDisk.space = room + sizes["shards/shard-000002.tar"] // 2
    with pytest.raises(StorageFullError, match=r"no space left to write '.*shard-000002\.tar'"):
        write_shards(source, f"smalldisk://{tmp_path}/set", clips_per_shard=2)
    kept = contents(tmp_path / "set")
    assert sorted(kept) == [
        "manifest/shard-000000.parquet",
        "manifest/shard-000001.parquet",
        "shards/shard-000000.tar",
        "shards/shard-000001.tar",
    ]
    SmallDisk.space = 10 * room
    write_shards(source, f"smalldisk://{tmp_path}/set", clips_per_shard=2)
    assert contents(tmp_path / "set") == contents(tmp_path / "undisturbed")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_kernel_s_own_full_disk_is_recognised(tmp_path: Path) -> None:
    from phys4d_kedro.clips.files import written_whole

    (tmp_path / "file.part").symlink_to("/dev/full")
    with (
        pytest.raises(StorageFullError, match="no space left"),
        written_whole(LocalFileSystem(), str(tmp_path / "file")) as file,
    ):
        file.write(b"x" * 1000)  # fails when the buffer is flushed, at closing
    assert list(tmp_path.iterdir()) == []


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
