"""Reading clips back: whole, windows, subsets, other file systems, and damage."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_clip

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CorruptShardError, InvalidClipError, MissingAnnotationError
from phys4d_kedro.geometry.flow import warp_residual

from .conftest import make_small


def assert_equal(first: Clip, second: Clip) -> None:
    assert first.metadata() == second.metadata()
    assert list(first.arrays()) == list(second.arrays())
    for key, array in first.arrays().items():
        np.testing.assert_array_equal(array, getattr(second, key), err_msg=key)


@pytest.fixture
def store(source: ClipSource, tmp_path: Path) -> ClipStore:
    write_shards(source, str(tmp_path), clips_per_shard=3, coding=ClipCoding(mantissa_bits=23))
    return ClipStore(str(tmp_path))


def test_exact_clips_come_back_equal(store: ClipStore, source: ClipSource) -> None:
    assert len(store) == 7
    assert store.ids == [f"sphere-{i:04d}" for i in range(7)]
    for index, clip in enumerate(store):
        assert_equal(clip, make_small(index))
        assert_equal(store[index - 7], clip)
    with pytest.raises(IndexError, match="clip 7 of 7"):
        store[7]


@pytest.mark.parametrize("coding", [ClipCoding(), ClipCoding(rgb="h264", mantissa_bits=8)])
def test_content_hash_is_that_of_the_clip_read_back(source: ClipSource, tmp_path: Path, coding: ClipCoding) -> None:
    write_shards(source, str(tmp_path), clips_per_shard=3, coding=coding)
    store = ClipStore(str(tmp_path))
    assert [clip.content_hash() for clip in store] == store.manifest["content_hash"].tolist()


def test_metadata_survives(tmp_path: Path) -> None:
    clip = make_small(0).with_(
        fps=30000 / 1001,
        seed=None,
        source="import",
        prompt='Ünïcode, "quotes"\nand lines',
        parameters={"b": [1, 2.5, None], "a": {"c": True}},
    )
    write_shards([clip, make_small(1).with_(fps=16, seed=0)], str(tmp_path), clips_per_shard=2)
    first, second = ClipStore(str(tmp_path))
    assert first.metadata() == clip.metadata()
    assert second.seed == 0
    assert second.fps == 16.0


def test_only_rgb_and_one_frame(tmp_path: Path) -> None:
    bare = Clip(clip_id="bare", rgb=make_small(0).rgb, fps=8, source="import")
    single = make_small(1).window(4, 1)
    write_shards([bare, single], str(tmp_path), clips_per_shard=2, coding=ClipCoding(mantissa_bits=23))
    store = ClipStore(str(tmp_path))
    assert list(store[0].arrays()) == ["rgb"]
    assert_equal(store[1], single)
    with pytest.raises(MissingAnnotationError, match="clip 'bare' has no 'depth'; the pipeline that adds it"):
        store.read("bare", keys=["depth"])


def test_windows(store: ClipStore) -> None:
    whole = make_small(4)
    for start, frames in [(0, 9), (0, 1), (3, 5), (4, 5), (8, 1)]:
        assert_equal(store.read("sphere-0004", start=start, frames=frames), whole.window(start, frames))
    window = store.read("sphere-0004", keys=["motion"], start=2, frames=5)
    assert list(window.arrays()) == ["rgb", "motion", "motion_valid"]
    arrays = store.read_arrays("sphere-0004", ["depth", "motion", "intrinsics"], start=2, frames=3)
    np.testing.assert_array_equal(arrays["depth"], whole.depth[2:5])
    np.testing.assert_array_equal(arrays["motion"], whole.motion[2:4])
    np.testing.assert_array_equal(arrays["intrinsics"], whole.intrinsics)
    for start, frames in [(-1, 5), (5, 5), (0, 0), (9, 1)]:
        with pytest.raises(InvalidClipError, match=r"'sphere-0004'.*its 9 frames"):
            store.read("sphere-0004", start=start, frames=frames)
    with pytest.raises(KeyError, match="has no clips nobody"):
        store.read("nobody")


def test_manifest(store: ClipStore) -> None:
    manifest = store.manifest
    assert manifest["shard"].tolist() == ["shard-000000"] * 3 + ["shard-000001"] * 3 + ["shard-000002"]
    for index, row in manifest.iterrows():
        clip = make_small(index)
        assert (row["frames"], row["height"], row["width"], row["seed"]) == (9, 24, 20, 0)
        assert row["keys"].tolist() == list(clip.arrays())
        finite = clip.depth[np.isfinite(clip.depth)]
        assert (row["depth_min"], row["depth_max"]) == (finite.min(), finite.max())
        assert row["depth_valid_share"] == finite.size / clip.depth.size
        length = np.linalg.norm(clip.motion[..., :2], axis=-1)[clip.motion_valid]
        assert row["motion_max"] == pytest.approx(length.max(), rel=1e-6)
        assert row["motion_valid_share"] == clip.motion_valid.mean()


def test_subsets(store: ClipStore) -> None:
    part = store.subset(["sphere-0005", "sphere-0001"])
    assert part.ids == ["sphere-0005", "sphere-0001"]
    assert len(part) == 2
    assert_equal(part[0], make_small(5))
    assert_equal(part.read("sphere-0001", start=4, frames=5), make_small(1).window(4, 5))
    assert [clip.clip_id for clip in part.subset(["sphere-0001"])] == ["sphere-0001"]
    with pytest.raises(KeyError, match="sphere-0002"):
        part.read("sphere-0002")
    with pytest.raises(KeyError, match="sphere-0002"):
        part.subset(["sphere-0002"])
    assert len({store.fingerprint, part.fingerprint, store.subset(["sphere-0001"]).fingerprint}) == 3
    assert store.subset(store.ids).fingerprint == store.fingerprint


def test_the_fingerprint_follows_the_content(source: ClipSource, tmp_path: Path) -> None:
    fingerprints = []
    for name, per_shard, coding in [("a", 2, ClipCoding()), ("b", 5, ClipCoding()), ("c", 2, ClipCoding(rgb="h264"))]:
        write_shards(source, str(tmp_path / name), clips_per_shard=per_shard, coding=coding)
        fingerprints.append(ClipStore(str(tmp_path / name)).fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_other_file_systems(source: ClipSource) -> None:
    write_shards(source, "memory://clips/set", clips_per_shard=3)
    write_shards(source, "memory://clips/set", clips_per_shard=3)
    store = ClipStore("memory://clips/set")
    np.testing.assert_array_equal(store[6].rgb, make_small(6).rgb)
    assert not ClipStore.exists("memory://clips/other")


def test_a_store_travels_to_other_processes(store: ClipStore) -> None:
    part = store.subset(["sphere-0005"])
    assert_equal(pickle.loads(pickle.dumps(part))[0], make_small(5))


def test_an_empty_set(tmp_path: Path) -> None:
    write_shards([], str(tmp_path), clips_per_shard=3)
    store = ClipStore(str(tmp_path))
    assert (len(store), store.ids, list(store)) == (0, [], [])


def test_damage_names_the_shard_and_the_clip(store: ClipStore, tmp_path: Path) -> None:
    row = store.manifest.iloc[4]
    shard = tmp_path / "shards/shard-000001.tar"
    content = bytearray(shard.read_bytes())
    content[row["offset"] + row["size"] // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CorruptShardError, match=r"shard-000001\.tar', clip 'sphere-0004': checksum mismatch"):
        store[4]
    assert_equal(store[3], make_small(3))
    os.truncate(shard, row["offset"] + 600)
    with pytest.raises(CorruptShardError, match=r"shard-000001\.tar', clip 'sphere-0004': .* bytes where"):
        store[4]
    shard.unlink()
    with pytest.raises(CorruptShardError, match=r"shard-000001\.tar', clip 'sphere-0003': the shard is missing"):
        store[3]
    assert_equal(store[6], make_small(6))


def test_a_missing_or_foreign_manifest_part_is_named(store: ClipStore, tmp_path: Path, source: ClipSource) -> None:
    part = tmp_path / "manifest/shard-000001.parquet"
    kept = part.read_bytes()
    part.write_bytes((tmp_path / "manifest/shard-000000.parquet").read_bytes())
    with pytest.raises(CorruptShardError, match="not the one that the index names"):
        ClipStore(str(tmp_path))[4]
    part.write_bytes(kept[:-20])
    with pytest.raises(CorruptShardError, match=r"shard-000001\.parquet' cannot be read"):
        ClipStore(str(tmp_path))[4]
    part.unlink()
    fresh = ClipStore(str(tmp_path))
    assert_equal(fresh[0], make_small(0))
    with pytest.raises(CorruptShardError, match=r"shard-000001\.parquet' is missing; run the pipeline"):
        fresh[4]
    with pytest.raises(CorruptShardError, match=r"shard-000001\.parquet' is missing"):
        len(fresh.manifest)


def test_a_set_that_is_not_there_or_not_whole(tmp_path: Path) -> None:
    with pytest.raises(CorruptShardError, match="no complete set of clips"):
        ClipStore(str(tmp_path))
    (tmp_path / "index.json").write_text('{"version": 99}')
    with pytest.raises(CorruptShardError, match="format version 99"):
        ClipStore(str(tmp_path))
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(CorruptShardError, match="not a clip index"):
        ClipStore(str(tmp_path))


def test_default_coding_keeps_the_geometry(tmp_path: Path) -> None:
    """Depth moved along the motion still meets depth at t + 1: the coding's error drowns in the interpolation's."""
    exact = make_clip(3, height=64, width=64, frames=5)
    write_shards([exact], str(tmp_path), clips_per_shard=1)
    stored = ClipStore(str(tmp_path))[0]

    def residual(clip: Clip) -> float:
        depth, motion = torch.from_numpy(clip.depth), torch.from_numpy(clip.motion).permute(0, 3, 1, 2)
        values, mask = warp_residual(depth[:-1], depth[1:], motion, torch.from_numpy(clip.motion_valid))
        assert mask.float().mean() > 0.5
        return float(values[mask].mean())

    bound = 2.0**-13
    assert (np.abs(stored.depth - exact.depth) <= bound * exact.depth).all()
    assert (np.abs(stored.motion - exact.motion) <= bound * np.abs(exact.motion)).all()
    assert residual(stored) < residual(exact) + 2 * bound
