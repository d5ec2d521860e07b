"""Files that are either whole or absent, on any fsspec file system."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem

from phys4d_kedro.errors import StorageFullError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def open_root(path: str, storage_options: dict[str, Any] | None = None) -> tuple[AbstractFileSystem, str]:
    """The file system of a path (local, s3://, gs://, memory://, ...) and the path within it."""
    import fsspec

    return fsspec.core.url_to_fs(path, **(storage_options or {}))


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says that the disk or the quota is full, whoever wrote (safetensors has only the text)."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return any(f"(os error {code})" in str(error) for code in _FULL)


@contextmanager
def written_whole(fs: AbstractFileSystem, path: str) -> Iterator[BinaryIO]:
    """Open a file for writing under a temporary name; it takes its own name only when the block ends well.

    Raises:
        StorageFullError: the disk or quota is full; nothing of this file is left behind.
    """
    partial = f"{path}.part"
    try:
        fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        with fs.open(partial, "wb") as file:
            yield file
        fs.mv(partial, path)
    except BaseException as error:
        with suppress(OSError):
            if fs.exists(partial):
                fs.rm_file(partial)
        if disk_is_full(error):
            raise StorageFullError(
                f"no space left to write '{path}'; free some and run again: what was complete "
                "before is kept and continued from"
            ) from error
        raise
