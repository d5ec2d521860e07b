"""Writing shards: the format, resuming, and what a full disk or a kill leaves behind."""

import dataclasses
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.codecs import Request, decode
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, InvalidClipError, StorageFullError

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
    assert [sample["__key__"] for sample in samples] == list(source.clip_ids)
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
        source = dataclasses.replace(source, clip_ids=source.clip_ids[:3])
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


def test_a_clip_of_another_name_and_a_name_twice_are_refused(source: ClipSource, tmp_path: Path) -> None:
    renamed = dataclasses.replace(source, clip_ids=["other", *source.clip_ids[1:]])
    with pytest.raises(InvalidClipError, match="announced as 'other'"):
        write_shards(renamed, str(tmp_path), clips_per_shard=3)
    twice = dataclasses.replace(source, clip_ids=[source.clip_ids[0], *source.clip_ids[:6]])
    with pytest.raises(InvalidClipError, match="occur twice: sphere-0000"):
        write_shards(twice, str(tmp_path), clips_per_shard=3)
    with pytest.raises(InvalidClipError, match="occurs twice"):
        write_shards([make_small(0), make_small(0)], str(tmp_path), clips_per_shard=1)
    with pytest.raises(ConfigurationError, match="clips_per_shard"):
        write_shards(source, str(tmp_path), clips_per_shard=0)


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

ids = [f"sphere-{{i:04d}}" for i in range(7)]
write_shards(ClipSource(clip_ids=ids, fingerprint="v1", make=slow, description="s"), sys.argv[1], clips_per_shard=2)
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
