"""Writing clips as WebDataset tar shards, so that a run that is killed continues where it was."""

import hashlib
import io
import json
import logging
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from fsspec import AbstractFileSystem

from phys4d_kedro.clips import manifest
from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.codecs import encode
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.files import open_root, written_whole
from phys4d_kedro.clips.source import Backend, ClipSource, check_backend, map_in_order
from phys4d_kedro.errors import ConfigurationError, CorruptShardError, Phys4DError

if TYPE_CHECKING:
    from tqdm import tqdm

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodedClip:
    """A clip ready to be written: its tar members in order and its manifest row (without places in the tar)."""

    members: list[tuple[str, bytes]]
    layouts: dict[str, dict[str, Any]]
    row: dict[str, Any]


def encode_clip(clip: Clip, coding: ClipCoding) -> EncodedClip:
    """Code every array of a clip. The manifest row describes the clip as it will be read back, losses included."""
    stem = clip.clip_id.replace(".", "%2E")  # WebDataset takes what follows the first dot as the key
    encoded = {key: encode(key, array, clip.fps, coding) for key, array in clip.arrays().items()}
    layouts = {key: member.layout for key, member in encoded.items()}
    read_back = clip.with_(fps=float(clip.fps), **{key: member.decoded for key, member in encoded.items()})
    row = manifest.summarise(read_back)
    description = clip.metadata() | {"content_hash": row["content_hash"], "layouts": layouts}
    members = [(f"{stem}.json", json.dumps(description, sort_keys=True).encode())]
    members += [(f"{stem}.{key}.{m.extension}", m.payload) for key, m in encoded.items()]
    return EncodedClip(members, layouts, row)


def write_shards(
    source: ClipSource | Iterable[Clip],
    path: str,
    *,
    clips_per_shard: int,
    jobs: int = 1,
    backend: Backend = "loky",
    coding: ClipCoding | None = None,
    storage_options: dict[str, Any] | None = None,
) -> None:
    """Write clips to a folder of shards, shard by shard; `ClipStore` reads them.

    A `ClipSource` is resumed: a shard stays when its manifest part is whole, says that it came from the same source
    and coding, and the hash of the tar agrees; the others are made by `jobs` processes (see `map_in_order`). The files
    of a resumed run are byte-identical to those of an undisturbed one. A plain iterable of clips is written as it
    comes, from the start.

    Where the source is shared out over machines, each writes its own shards to the same folder. Whichever finds that
    all are there completes the set; the others end without it.

    Raises:
        ConfigurationError: Ray is asked for and not installed.
        InvalidClipError: two clips have one id.
        StorageFullError: the disk is full; complete shards stay.
        Phys4DError: whatever the source raises on a clip that it cannot make.
    """
    if clips_per_shard < 1 or jobs == 0:
        raise ConfigurationError(f"clips_per_shard must be at least 1 and jobs not 0, not {clips_per_shard} and {jobs}")
    check_backend(backend)
    fs, root = open_root(path, storage_options)
    writer = _Writer(fs, root, clips_per_shard, coding or ClipCoding())
    if isinstance(source, ClipSource):
        writer.resume(source, jobs, backend)
    else:
        writer.stream(source)


@dataclass(frozen=True)
class _Writer:
    fs: AbstractFileSystem
    root: str
    clips_per_shard: int
    coding: ClipCoding

    def resume(self, source: ClipSource, jobs: int, backend: Backend) -> None:
        if not self._is_of(source, self._index_if_readable()):
            self._invalidate()
        share = self._share(source)
        with _progress(sum(len(self._clips(source, k)) for k in share), source.description) as bar:
            make = partial(_encoded, source.make, self.coding)
            with closing(
                map_in_order(
                    make, self._missing(source, share, bar), jobs=jobs, backend=backend, together=source.together
                )
            ) as made:
                for k, clips in groupby(made, key=lambda numbered: numbered[0] // self.clips_per_shard):
                    self._write(_name(k), self._fingerprint(source, k), _counted(clips, bar))
        self._finish(source, self._count(source))

    def stream(self, clips: Iterable[Clip]) -> None:
        self._invalidate()
        encoded = (encode_clip(clip, self.coding) for clip in clips)
        shards = 0
        for first in encoded:
            self._write(_name(shards), None, chain([first], islice(encoded, self.clips_per_shard - 1)))
            shards += 1
        self._finish(None, shards)

    def _count(self, source: ClipSource) -> int:
        return -(-len(source) // self.clips_per_shard)

    def _clips(self, source: ClipSource, shard: int) -> range:
        start = shard * self.clips_per_shard
        return range(start, min(start + self.clips_per_shard, len(source)))

    def _share(self, source: ClipSource) -> range:
        """The shards that are this machine's to make."""
        index, machines = source.share
        return range(index, self._count(source), machines)

    def _fingerprint(self, source: ClipSource, shard: int) -> str:
        clips = self._clips(source, shard)
        facts = [manifest.FORMAT_VERSION, source.fingerprint, self.coding.model_dump(), clips.start, clips.stop]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _missing(self, source: ClipSource, share: range, bar: "tqdm[NoReturn]") -> Iterator[int]:
        """The clips to be made, found shard by shard: the first is made before the last is looked for."""
        kept = 0
        for k in share:
            clips = self._clips(source, k)
            if self._is_whole(_name(k), self._fingerprint(source, k)):
                kept += len(clips)
                bar.total = (bar.total or 0) - len(clips)
                continue
            self._invalidate()
            yield from clips
        if kept:
            logger.info("%s: %d clips were in place at %s", source.description, kept, self.root)

    def _is_whole(self, name: str, fingerprint: str) -> bool:
        try:
            entry, rows = manifest.read_part(self.fs, self.root, name, manifest.Census.COLUMNS)
            if entry.fingerprint != fingerprint or entry.clips != len(rows):
                return False
            with self.fs.open(manifest.tar_path(self.root, name), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (CorruptShardError, FileNotFoundError):
            return False
        if digest != entry.sha256:
            logger.warning("shard '%s' does not match its hash and is made again", name)
            return False
        return True

    def _is_of(self, source: ClipSource, index: manifest.Index | None) -> bool:
        """Whether an index is that of the source's complete set."""
        facts = index and (index.fingerprint, index.clips, index.clips_per_shard, index.coding)
        return facts == (source.fingerprint, len(source), self.clips_per_shard, self.coding.model_dump())

    def _index_if_readable(self) -> manifest.Index | None:
        try:
            return manifest.read_index(self.fs, self.root)
        except CorruptShardError:
            return None

    def _invalidate(self) -> None:
        with suppress(FileNotFoundError):
            self.fs.rm_file(f"{self.root}/{manifest.INDEX}")

    def _write(self, name: str, fingerprint: str | None, clips: Iterable[EncodedClip]) -> None:
        """Write one shard, then the manifest part that says it is whole."""
        rows: dict[str, dict[str, Any]] = {}
        with written_whole(self.fs, manifest.tar_path(self.root, name)) as file:
            hashing = _HashingFile(file)
            with tarfile.open(fileobj=hashing, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for place, clip in enumerate(clips):
                    clip_id = clip.row["clip_id"]
                    if clip_id in rows:
                        first = list(rows).index(clip_id)
                        raise manifest.twice(clip_id, f"clip {first} of {name}", f"clip {place}")
                    rows[clip_id] = _add(tar, clip) | {"shard": name}
        fingerprint = fingerprint or manifest.hash_of(row["content_hash"] for row in rows.values())
        entry = manifest.ShardEntry(name, fingerprint, len(rows), hashing.size, hashing.hexdigest())
        manifest.write_part(self.fs, self.root, entry, list(rows.values()))

    def _finish(self, source: ClipSource | None, shards: int) -> None:
        """Mark the set complete if it is: other machines may not be done with their shards of the source."""
        census = manifest.Census()
        share = range(shards) if source is None else self._share(source)
        for k in range(shards):
            try:
                entry, rows = manifest.read_part(self.fs, self.root, _name(k), census.COLUMNS)
            except CorruptShardError:
                if k in share:
                    raise
                continue
            if source is None or entry.fingerprint == self._fingerprint(source, k):
                census.add(entry, rows)
        if missing := shards - len(census.entries):
            logger.info("%d of %d shards at %s are still to come from other machines", missing, shards, self.root)
            return
        census.refuse_duplicates(self.fs, self.root)
        self._complete(census, source)

    def _complete(self, census: manifest.Census, source: ClipSource | None) -> None:
        index = manifest.Index(
            source.fingerprint if source else census.content_hash,
            census.content_hash,
            sum(entry.clips for entry in census.entries),
            self.clips_per_shard,
            self.coding.model_dump(),
            census.entries,
        )
        if self._index_if_readable() == index:
            return
        if source is None or source.share == (0, 1):
            self._remove_strays(census.entries)
        try:
            manifest.write_index(self.fs, self.root, index)
        except FileNotFoundError:  # another machine came to the end at the same moment, and put its file there first
            if self._index_if_readable() != index:
                raise

    def _remove_strays(self, entries: list[manifest.ShardEntry]) -> None:
        """Remove what belongs to no shard of this set; nothing would read it."""
        ours = {path(self.root, entry.name) for path in (manifest.tar_path, manifest.part_path) for entry in entries}
        for path in [*self.fs.glob(f"{self.root}/shards/*"), *self.fs.glob(f"{self.root}/manifest/*")]:
            if path not in ours:
                self.fs.rm_file(path)


def _name(shard: int) -> str:
    return f"shard-{shard:06d}"


class _HashingFile(io.RawIOBase):
    """What tarfile needs of a file opened for writing, with the size and SHA-256 of what went through."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self.size

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _add(tar: tarfile.TarFile, clip: EncodedClip) -> dict[str, Any]:
    """Append a clip's members; returns its manifest row with the places of the members in the tar."""
    start = tar.offset
    places: dict[str, dict[str, Any]] = {}
    for (name, payload), key in zip(clip.members, ["", *clip.layouts], strict=True):
        info = tarfile.TarInfo(name)  # time, owner and mode are constants: equal clips make equal tars
        info.size = len(payload)
        tar.addfile(info, io.BytesIO(payload))
        if key:
            padded = -len(payload) % tarfile.BLOCKSIZE
            places[key] = {"offset": tar.offset - padded - len(payload)} | clip.layouts[key]
    return clip.row | {"offset": start, "size": tar.offset - start, "members": json.dumps(places)}


def _encoded(make: Callable[[int], Clip], coding: ClipCoding, index: int) -> tuple[int, EncodedClip | Phys4DError]:
    """Make and code a clip. An error made for users is returned, to be raised when its turn comes: what joblib
    raises it raises at once, before the clips that are ready are written."""
    try:
        return index, encode_clip(make(index), coding)
    except Phys4DError as error:
        return index, error


def _counted(clips: Iterable[tuple[int, EncodedClip | Phys4DError]], bar: "tqdm[NoReturn]") -> Iterator[EncodedClip]:
    """The clips, as they come; raises the error that came in the place of one."""
    for _, clip in clips:
        if isinstance(clip, Phys4DError):
            raise clip
        bar.update()
        yield clip


def _progress(clips: int, description: str) -> "tqdm[NoReturn]":
    """A bar with clips a second and the time left, both from about the last fifty clips: scenes differ in cost."""
    from tqdm import tqdm

    return tqdm(total=clips, desc=description, unit="clip", smoothing=0.02)
