"""Reading clips from shards: by position, by id, by frame window, in order."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from phys4d_kedro.clips import manifest
from phys4d_kedro.clips.clip import ARRAY_SPEC, COMPANIONS, Clip, missing_annotation
from phys4d_kedro.clips.codecs import Layout, Request, byte_range, decode
from phys4d_kedro.clips.files import open_root
from phys4d_kedro.errors import CorruptShardError, InvalidClipError


class ClipStore:
    """A complete set of clips on disk. Nothing is read before it is asked for; manifest parts are read as touched.

    Raises:
        CorruptShardError: there is no complete set at `path`, or (when reading) a shard does not hold what its
            manifest says; the message names the shard and the clip.
    """

    def __init__(self, path: str, *, storage_options: dict[str, Any] | None = None) -> None:
        self.path = path
        self._storage_options = storage_options
        self._parts: dict[int, pd.DataFrame] = {}
        self._selection: tuple[int, ...] | None = None
        self._fs, self._root = open_root(path, storage_options)
        index = manifest.read_index(self._fs, self._root)
        if index is None:
            raise CorruptShardError(
                f"'{path}' holds no complete set of clips ({manifest.INDEX} is missing: never written, "
                "interrupted, or other machines are still at it); run the pipeline that makes it: shards that are "
                "complete are kept"
            )
        self._index = index
        self._starts = list(accumulate((shard.clips for shard in index.shards), initial=0))

    def __getstate__(self) -> dict[str, Any]:
        """What a copy in another process needs; what has been read stays behind."""
        caches = {name for name, value in vars(type(self)).items() if isinstance(value, cached_property)}
        return {name: value for name, value in vars(self).items() if name not in caches} | {"_parts": {}}

    @staticmethod
    def exists(path: str, *, storage_options: dict[str, Any] | None = None) -> bool:
        """Whether a complete set of clips lies at this path."""
        fs, root = open_root(path, storage_options)
        return manifest.read_index(fs, root) is not None

    def __len__(self) -> int:
        return self._index.clips if self._selection is None else len(self._selection)

    def __getitem__(self, index: int) -> Clip:
        return self._clip(self._row(self._absolute(index)))

    def __iter__(self) -> Iterator[Clip]:
        for index in range(len(self)):
            yield self[index]

    @cached_property
    def ids(self) -> list[str]:
        """The clip ids, in order."""
        return self.manifest["clip_id"].tolist()

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """One row a clip, in order: see docs/clips.md for the columns."""
        parts = [self._part(k) for k in range(len(self._index.shards))]
        whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"clip_id": [], "content_hash": []})
        if self._selection is not None:
            whole = whole.iloc[list(self._selection)].reset_index(drop=True)
        return whole.drop(columns="members", errors="ignore")

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content hashes of all clips, in order."""
        if self._selection is None:
            return self._index.content_hash
        return manifest.hash_of(self.manifest["content_hash"])

    def subset(self, ids: Sequence[str]) -> "ClipStore":
        """A store of these clips only, in the order given. Raises KeyError naming ids that are not here."""
        view = ClipStore(self.path, storage_options=self._storage_options)
        view._selection = tuple(self._positions([*ids]))
        return view

    def read(
        self, clip_id: str, *, keys: Sequence[str] | None = None, start: int = 0, frames: int | None = None
    ) -> Clip:
        """A clip, or the window of `frames` frames from `start`, with RGB and these arrays (all by default).

        Companions come along (motion_valid with motion). Only the chunks that the window touches are read.
        """
        return self._clip(self._row(self._positions([clip_id])[0]), keys, start, frames)

    def read_arrays(
        self, clip_id: str, keys: Sequence[str], *, start: int = 0, frames: int | None = None
    ) -> dict[str, NDArray[Any]]:
        """These arrays alone, by key, of a window of frames (T - 1 of an array between frames)."""
        return self._arrays(self._row(self._positions([clip_id])[0]), keys, start, frames)

    @cached_property
    def _position_of(self) -> dict[str, int]:
        return {clip_id: self._absolute(index) for index, clip_id in enumerate(self.ids)}

    def _positions(self, ids: Sequence[str]) -> list[int]:
        missing = [clip_id for clip_id in ids if clip_id not in self._position_of]
        if missing:
            raise KeyError(f"'{self.path}' has no clips {', '.join(missing[:10])}; it has {len(self)} clips")
        return [self._position_of[clip_id] for clip_id in ids]

    def _absolute(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)} in '{self.path}'")
        index %= len(self)
        return index if self._selection is None else self._selection[index]

    def _part(self, shard: int) -> pd.DataFrame:
        if shard not in self._parts:
            entry, rows = manifest.read_part(self._fs, self._root, self._index.shards[shard].name)
            if entry != self._index.shards[shard]:
                raise CorruptShardError(
                    f"manifest part of shard '{entry.name}' in '{self.path}' is not the one that the index names; run "
                    "the pipeline that makes this data set again"
                )
            self._parts[shard] = rows
        return self._parts[shard]

    def _row(self, position: int) -> dict[str, Any]:
        shard = bisect_right(self._starts, position) - 1
        row = self._part(shard).iloc[position - self._starts[shard]]
        return {str(column): value for column, value in row.items()}

    def _clip(
        self,
        row: dict[str, Any],
        keys: Sequence[str] | None = None,
        start: int = 0,
        frames: int | None = None,
    ) -> Clip:
        wanted = set(row["keys"]) if keys is None else {"rgb", *keys}
        wanted |= {other for key in wanted for other in COMPANIONS.get(key, ())}
        arrays = self._arrays(row, [key for key in ARRAY_SPEC if key in wanted], start, frames)
        return Clip(
            clip_id=row["clip_id"],
            fps=float(row["fps"]),
            source=row["source"],
            prompt=row["prompt"],
            category=row["category"],
            scene=row["scene"],
            seed=None if pd.isna(row["seed"]) else int(row["seed"]),
            parameters=json.loads(row["parameters"]),
            **arrays,
        )

    def _arrays(
        self, row: dict[str, Any], keys: Sequence[str], start: int, frames: int | None
    ) -> dict[str, NDArray[Any]]:
        stop = row["frames"] if frames is None else start + frames
        if not 0 <= start < stop <= row["frames"]:
            raise InvalidClipError(
                f"clip '{row['clip_id']}': frames {start} to {stop - 1} exceed its {row['frames']} frames"
            )
        members = json.loads(row["members"])
        for key in keys:
            if key not in members:
                raise missing_annotation(row["clip_id"], key)
        spans = [_rows(key, members[key], start, stop) for key in keys]
        ranges = [byte_range(members[key], *span) for key, span in zip(keys, spans, strict=True)]
        offsets = [members[key]["offset"] for key in keys]
        try:
            payloads = self._fs.cat_ranges(
                [manifest.tar_path(self._root, row["shard"])] * len(keys),
                [offset + low for offset, (low, _) in zip(offsets, ranges, strict=True)],
                [offset + high for offset, (_, high) in zip(offsets, ranges, strict=True)],
                on_error="raise",
            )
            requests = [
                Request(members[key], payload, *span) for key, payload, span in zip(keys, payloads, spans, strict=True)
            ]
            return dict(zip(keys, decode(requests), strict=True))
        except FileNotFoundError as error:
            raise CorruptShardError(f"{self._name(row)}: the shard is missing; {_REMAKE}") from error
        except ValueError as error:
            raise CorruptShardError(f"{self._name(row)}: {error}; {_REMAKE}") from error

    def _name(self, row: dict[str, Any]) -> str:
        return f"shard '{manifest.tar_path(self._root, row['shard'])}', clip '{row['clip_id']}'"


_REMAKE = "run the pipeline that makes this data set again: only damaged shards are remade"


def _rows(key: str, layout: Layout, start: int, stop: int) -> tuple[int, int]:
    """The rows of an array that belong to frames start .. stop - 1."""
    leading = ARRAY_SPEC[key][0].split()[0]
    if leading == "T":
        return start, stop
    if leading == "T-1":
        return start, stop - 1
    return 0, layout["shape"][0]
