"""Plans of many clips: shares of machines, a million clips, ids that repeat."""

import dataclasses
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from phys4d_kedro.clips import manifest
from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CorruptShardError, InvalidClipError

from .conftest import contents, make_small


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
