"""The Kedro dataset of clips."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from factories import make_clip
from kedro.io import DataCatalog, DatasetError
from pydantic import ValidationError

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.clip_shards import ClipShardsDataset
from phys4d_kedro.errors import ConfigurationError, CorruptShardError

make_small = partial(make_clip, height=16, width=16, frames=5)


def test_catalog_entry_saves_a_source_and_loads_a_store(tmp_path: Path) -> None:
    entry = {
        "type": "phys4d_kedro.datasets.clip_shards.ClipShardsDataset",
        "filepath": str(tmp_path / "set"),
        "clips_per_shard": 2,
        "coding": {"mantissa_bits": 23},
    }
    catalog = DataCatalog.from_config({"clips": entry})
    assert not catalog.exists("clips")
    source = ClipSource(count=3, fingerprint="f", make=make_small, description="d")
    catalog.save("clips", source)
    assert catalog.exists("clips")
    store = catalog.load("clips")
    assert isinstance(store, ClipStore)
    np.testing.assert_array_equal(store[2].depth, make_small(2).depth)
    assert len(list((tmp_path / "set/shards").iterdir())) == 2


def test_clips_can_be_saved_too(tmp_path: Path) -> None:
    dataset = ClipShardsDataset(filepath=str(tmp_path))
    dataset.save(make_small(i) for i in range(3))
    assert dataset.load().ids == ["sphere-0000", "sphere-0001", "sphere-0002"]


def test_an_interrupted_set_does_not_exist_and_says_so(tmp_path: Path) -> None:
    dataset = ClipShardsDataset(filepath=str(tmp_path))
    dataset.save([make_small(0)])
    (tmp_path / "index.json").unlink()
    assert not dataset.exists()
    with pytest.raises(DatasetError, match="no complete set of clips") as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, CorruptShardError)


def test_wrong_coding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="rgb"):
        ClipShardsDataset(filepath=str(tmp_path), coding={"rgb": "gif"})


def test_ray_that_is_not_installed_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not
    dataset = ClipShardsDataset(filepath=str(tmp_path), backend="ray")
    with pytest.raises(DatasetError, match=r"backend 'ray': .*extra 'ray' \(pip install -e '\.\[ray\]'\)") as caught:
        dataset.save(ClipSource(count=3, fingerprint="f", make=make_small, description="d"))
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert list(tmp_path.iterdir()) == []
