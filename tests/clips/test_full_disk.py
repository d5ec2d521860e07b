"""A disk that fills up keeps what was complete."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.errors import StorageFullError

from .conftest import contents


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
