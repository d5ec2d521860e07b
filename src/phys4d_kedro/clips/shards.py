"""Writing clips as WebDataset tar shards, so that a run that is killed continues where it was."""

import hashlib
import io
import json
import logging
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem

from phys4d_kedro.clips import manifest
from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.codecs import encode
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.files import open_root, written_whole
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.errors import ConfigurationError, CorruptShardError, InvalidClipError, Phys4DError

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
    coding: ClipCoding | None = None,
    storage_options: dict[str, Any] | None = None,
) -> None:
    """Write clips to a folder of shards, shard by shard; `ClipStore` reads them.

    A `ClipSource` is resumed: a shard stays when its manifest part is whole, says that it came from the same source
    and coding, and the hash of the tar agrees; the others are made by `jobs` processes. The files of a resumed run are
    byte-identical to those of an undisturbed one. A plain iterable of clips is written as it comes, from the start.

    Raises:
        StorageFullError: the disk is full; complete shards stay.
        Phys4DError: whatever the source raises on a clip that it cannot make.
    """
    if clips_per_shard < 1 or jobs == 0:
        raise ConfigurationError(f"clips_per_shard must be at least 1 and jobs not 0, not {clips_per_shard} and {jobs}")
    fs, root = open_root(path, storage_options)
    writer = _Writer(fs, root, clips_per_shard, coding or ClipCoding())
    if isinstance(source, ClipSource):
        writer.resume(source, jobs)
    else:
        writer.stream(source)


@dataclass(frozen=True)
class _Writer:
    fs: AbstractFileSystem
    root: str
    clips_per_shard: int
    coding: ClipCoding

    def resume(self, source: ClipSource, jobs: int) -> None:
        ids = list(source.clip_ids)
        if len(set(ids)) < len(ids):
            twice = sorted({i for i in ids if ids.count(i) > 1})
            raise InvalidClipError(f"{source.description}: clip ids occur twice: {', '.join(twice[:10])}")
        slices = [range(i, min(i + self.clips_per_shard, len(ids))) for i in range(0, len(ids), self.clips_per_shard)]
        fingerprints = [self._fingerprint(source, [ids[i] for i in clips]) for clips in slices]
        kept = [self._verified(_name(k), fingerprint) for k, fingerprint in enumerate(fingerprints)]
        index = self._index_if_readable()
        if index and index.fingerprint == source.fingerprint and index.shards == kept:
            logger.info("%s: all %d clips are in place at %s", source.description, len(ids), self.root)
            return
        self._invalidate()
        missing = [k for k, entry in enumerate(kept) if entry is None]
        wanted = [i for k in missing for i in slices[k]]
        if len(wanted) < len(ids):
            logger.info("%s: %d of %d clips are in place", source.description, len(ids) - len(wanted), len(ids))
        clips = _made(source, wanted, self.coding, jobs)
        for k in missing:
            self._write(_name(k), fingerprints[k], islice(clips, len(slices[k])))
        self._finish(source.fingerprint, len(slices))

    def stream(self, clips: Iterable[Clip]) -> None:
        self._invalidate()
        encoded = (encode_clip(clip, self.coding) for clip in _distinct(clips))
        shards = 0
        for first in encoded:
            self._write(_name(shards), None, chain([first], islice(encoded, self.clips_per_shard - 1)))
            shards += 1
        self._finish(None, shards)

    def _fingerprint(self, source: ClipSource, ids: list[str]) -> str:
        facts = [manifest.FORMAT_VERSION, source.fingerprint, self.coding.model_dump(), ids]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _verified(self, name: str, fingerprint: str) -> manifest.ShardEntry | None:
        try:
            entry, rows = manifest.read_part(self.fs, self.root, name)
            if entry.fingerprint != fingerprint or entry.clips != len(rows):
                return None
            with self.fs.open(manifest.tar_path(self.root, name), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (CorruptShardError, FileNotFoundError):
            return None
        if digest != entry.sha256:
            logger.warning("shard '%s' does not match its hash and is made again", name)
            return None
        return entry

    def _index_if_readable(self) -> manifest.Index | None:
        try:
            return manifest.read_index(self.fs, self.root)
        except CorruptShardError:
            return None

    def _invalidate(self) -> None:
        if self.fs.exists(f"{self.root}/{manifest.INDEX}"):
            self.fs.rm_file(f"{self.root}/{manifest.INDEX}")

    def _write(self, name: str, fingerprint: str | None, clips: Iterable[EncodedClip]) -> None:
        """Write one shard, then the manifest part that says it is whole."""
        rows: list[dict[str, Any]] = []
        with written_whole(self.fs, manifest.tar_path(self.root, name)) as file:
            hashing = _HashingFile(file)
            with tarfile.open(fileobj=hashing, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for clip in clips:
                    rows.append(_add(tar, clip) | {"shard": name})
        fingerprint = fingerprint or manifest.hash_of(row["content_hash"] for row in rows)
        entry = manifest.ShardEntry(name, fingerprint, len(rows), hashing.size, hashing.hexdigest())
        manifest.write_part(self.fs, self.root, entry, rows)

    def _finish(self, fingerprint: str | None, shards: int) -> None:
        """Remove what belongs to no shard of this set, then mark it complete."""
        ours = {path(self.root, _name(k)) for path in (manifest.tar_path, manifest.part_path) for k in range(shards)}
        for path in [*self.fs.glob(f"{self.root}/shards/*"), *self.fs.glob(f"{self.root}/manifest/*")]:
            if path not in ours:
                self.fs.rm_file(path)
        parts = [manifest.read_part(self.fs, self.root, _name(k)) for k in range(shards)]
        hashes = manifest.hash_of(content for _, rows in parts for content in rows["content_hash"])
        index = manifest.Index(
            fingerprint or hashes,
            hashes,
            sum(entry.clips for entry, _ in parts),
            self.clips_per_shard,
            self.coding.model_dump(),
            [entry for entry, _ in parts],
        )
        manifest.write_index(self.fs, self.root, index)


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


def _distinct(clips: Iterable[Clip]) -> Iterator[Clip]:
    seen: set[str] = set()
    for clip in clips:
        if clip.clip_id in seen:
            raise InvalidClipError(f"clip id '{clip.clip_id}' occurs twice; ids are unique within a set of clips")
        seen.add(clip.clip_id)
        yield clip


def _encoded(make: Callable[[int], Clip], index: int, clip_id: str, coding: ClipCoding) -> EncodedClip | Phys4DError:
    """Make and code a clip. An error made for users is returned, to be raised when its turn comes: what joblib
    raises it raises at once, before the clips that are ready are written."""
    try:
        clip = make(index)
        if clip.clip_id != clip_id:
            return InvalidClipError(f"clip {index} came out as '{clip.clip_id}', announced as '{clip_id}'")
        return encode_clip(clip, coding)
    except Phys4DError as error:
        return error


def _made(source: ClipSource, indices: list[int], coding: ClipCoding, jobs: int) -> Iterator[EncodedClip]:
    """The clips of these indices in order, made by `jobs` processes, under a progress bar."""
    import joblib
    from tqdm import tqdm

    tasks = ((source.make, index, source.clip_ids[index], coding) for index in indices)
    if jobs == 1:
        clips: Iterator[EncodedClip | Phys4DError] = (_encoded(*task) for task in tasks)
    else:
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
        clips = parallel(joblib.delayed(_encoded)(*task) for task in tasks)
    for clip in tqdm(clips, total=len(indices), desc=source.description, unit="clip"):
        if isinstance(clip, Phys4DError):
            raise clip
        yield clip
