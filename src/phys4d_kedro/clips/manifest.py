"""The manifest: one row a clip, one Parquet part a shard; and the index that names the parts of a complete set."""

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from fsspec import AbstractFileSystem
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.files import written_whole
from phys4d_kedro.errors import CorruptShardError, InvalidClipError

FORMAT_VERSION = 2
INDEX = "index.json"


@dataclass(frozen=True)
class ShardEntry:
    """What the index and the manifest part say of one shard."""

    name: str
    fingerprint: str
    clips: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Index:
    """The contents of `index.json`, written last: where it stands, the set is complete.

    `fingerprint` is the source's, `content_hash` that of all clips' content hashes in order.
    """

    fingerprint: str
    content_hash: str
    clips: int
    clips_per_shard: int
    coding: dict[str, Any]
    shards: list[ShardEntry]
    version: int = FORMAT_VERSION


def summarise(clip: Clip) -> dict[str, Any]:
    """The manifest columns that follow from a clip's content; statistics are null where the array is absent.

    `redraws` counts the configurations and cameras that were dropped for this clip; null where it is not simulated.
    """
    height, width = clip.size
    row = {key: value for key, value in clip.metadata().items() if key != "parameters"}
    row |= {
        "content_hash": clip.content_hash(),
        "frames": clip.frames,
        "height": height,
        "width": width,
        "keys": list(clip.arrays()),
        "parameters": json.dumps(clip.parameters, sort_keys=True),
        "depth_min": None,
        "depth_max": None,
        "depth_valid_share": None,
        "motion_max": None,
        "motion_valid_share": None,
        "redraws": clip.parameters.get("redraws"),
    }
    if clip.depth is not None:
        hit = clip.depth[np.isfinite(clip.depth)]
        row["depth_valid_share"] = hit.size / clip.depth.size
        if hit.size:
            row |= {"depth_min": float(hit.min()), "depth_max": float(hit.max())}
    if clip.motion is not None and clip.motion_valid is not None and clip.motion_valid.size:
        length = np.hypot(clip.motion[..., 0], clip.motion[..., 1])
        row["motion_max"] = float(length.max(where=clip.motion_valid, initial=0.0))
        row["motion_valid_share"] = float(clip.motion_valid.mean())
    return row


def hash_of(texts: Iterable[str]) -> str:
    """SHA-256 of texts, one after the other."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()


def _schema() -> Any:
    import pyarrow as pa

    text, integer, real = pa.string(), pa.int64(), pa.float64()
    columns = {
        "clip_id": text, "shard": text, "offset": integer, "size": integer, "content_hash": text,
        "frames": integer, "height": integer, "width": integer, "fps": real, "source": text, "category": text,
        "scene": text, "seed": integer, "prompt": text, "keys": pa.list_(text), "depth_min": real, "depth_max": real,
        "depth_valid_share": real, "motion_max": real, "motion_valid_share": real, "redraws": integer,
        "parameters": text, "members": text,
    }  # fmt: skip
    return pa.schema(list(columns.items()))


def part_path(root: str, shard: str) -> str:
    """Where the manifest part of a shard lies."""
    return f"{root}/manifest/{shard}.parquet"


def tar_path(root: str, shard: str) -> str:
    """Where a shard lies."""
    return f"{root}/shards/{shard}.tar"


def write_part(fs: AbstractFileSystem, root: str, entry: ShardEntry, rows: list[dict[str, Any]]) -> None:
    """Write the rows of a shard; the entry travels in the Parquet metadata and makes the part self-contained."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema().with_metadata({"shard": json.dumps(asdict(entry))})
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression="zstd")
    with written_whole(fs, part_path(root, entry.name)) as file:
        file.write(buffer.getvalue())


def read_part(
    fs: AbstractFileSystem, root: str, shard: str, columns: list[str] | None = None
) -> tuple[ShardEntry, pd.DataFrame]:
    """Read the manifest part of a shard, or some columns of it.

    Raises:
        CorruptShardError: it is missing or not a manifest part.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = part_path(root, shard)
    try:
        table = pq.read_table(io.BytesIO(fs.cat_file(path)), columns=columns)
        entry = ShardEntry(**json.loads(table.schema.metadata[b"shard"]))
    except FileNotFoundError as error:
        raise CorruptShardError(
            f"manifest part '{path}' is missing; run the pipeline that makes this data set again"
        ) from error
    except (pa.ArrowInvalid, KeyError, TypeError, OSError) as error:
        raise CorruptShardError(
            f"manifest part '{path}' cannot be read ({error}); delete it and run the pipeline that makes this data "
            "set again: only this shard is remade"
        ) from error
    frame = table.to_pandas()
    for column in {"seed", "redraws"} & set(frame):
        frame[column] = frame[column].astype("Int64")
    return entry, frame


def write_index(fs: AbstractFileSystem, root: str, index: Index) -> None:
    """Mark a set as complete."""
    with written_whole(fs, f"{root}/{INDEX}") as file:
        file.write(json.dumps(asdict(index), indent=1).encode())


def read_index(fs: AbstractFileSystem, root: str) -> Index | None:
    """The index of a set, None where the set is not complete. Raises CorruptShardError on one that cannot be read."""
    path = f"{root}/{INDEX}"
    try:
        content = json.loads(fs.cat_file(path))
        if content["version"] != FORMAT_VERSION:
            raise CorruptShardError(
                f"'{path}' has format version {content['version']}, this release reads {FORMAT_VERSION}; delete the "
                "folder and make the data set again"
            )
        return Index(**content | {"shards": [ShardEntry(**shard) for shard in content["shards"]]})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptShardError(
            f"'{path}' is not a clip index ({error}); delete it and run the pipeline that makes this data set again"
        ) from error


class Census:
    """What all manifest parts of a set say together, read one after the other; 8 bytes a clip stay in memory."""

    COLUMNS: ClassVar[list[str]] = ["clip_id", "content_hash"]

    def __init__(self) -> None:
        self.entries: list[ShardEntry] = []
        self._contents = hashlib.sha256()
        self._ids: list[NDArray[np.uint64]] = []

    def add(self, entry: ShardEntry, rows: pd.DataFrame) -> None:
        """Take in the next part; of its rows, COLUMNS."""
        self.entries.append(entry)
        for content in rows["content_hash"]:
            self._contents.update(content.encode())
        self._ids.append(np.array([_short_hash(clip_id) for clip_id in rows["clip_id"]], dtype=np.uint64))

    @property
    def content_hash(self) -> str:
        """That of the clips' content hashes, in order."""
        return self._contents.hexdigest()

    def refuse_duplicates(self, fs: AbstractFileSystem, root: str) -> None:
        """Raises InvalidClipError, naming both clips, where two have one id."""
        keys = np.concatenate([np.empty(0, np.uint64), *self._ids])
        order = np.argsort(keys, kind="stable")
        equal = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
        starts = np.cumsum([0, *(entry.clips for entry in self.entries)])
        for place in equal:
            found = []
            for position in order[place : place + 2]:
                shard = int(np.searchsorted(starts, position, side="right")) - 1
                name = self.entries[shard].name
                _, rows = read_part(fs, root, name, self.COLUMNS)
                found.append((rows["clip_id"].iloc[position - starts[shard]], f"clip {position} (in {name})"))
            (first, where), (second, elsewhere) = found
            if first == second:
                raise twice(first, where, elsewhere)


def twice(clip_id: str, first: str, second: str) -> InvalidClipError:
    """The error to raise where two clips have one id; `first` and `second` say which they are."""
    return InvalidClipError(
        f"clip id '{clip_id}' occurs twice: {first} and {second} have it; ids are unique within a set of clips"
    )


def _short_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
