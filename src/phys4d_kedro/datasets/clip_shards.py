"""Kedro dataset of clips in WebDataset shards."""

from collections.abc import Iterable
from typing import Any

from kedro.io import AbstractDataset

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import Backend, ClipSource
from phys4d_kedro.clips.store import ClipStore


class ClipShardsDataset(AbstractDataset[ClipSource | Iterable[Clip], ClipStore]):
    """Clips on disk: saving takes a `ClipSource` (made shard by shard, resumable) or clips, loading a `ClipStore`.

    YAML:

        real_clips:
          type: phys4d_kedro.datasets.clip_shards.ClipShardsDataset
          filepath: data/02_intermediate/real_clips
          clips_per_shard: 64
          jobs: 2
          backend: loky
          coding: {rgb: h264, crf: 16}

    `jobs` processes (-1: one a processor) make the clips: of this machine with the backend `loky`, of a Ray cluster
    with `ray`, which needs the extra of that name. `filepath` is any fsspec path (s3://, gs://, ...); `credentials` and
    `fs_args` go to its file system.
    """

    def __init__(
        self,
        *,
        filepath: str,
        clips_per_shard: int = 64,
        jobs: int = 1,
        backend: Backend = "loky",
        coding: dict[str, Any] | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = filepath
        self._clips_per_shard = clips_per_shard
        self._jobs = jobs
        self._backend = backend
        self._coding = ClipCoding.model_validate(coding or {})
        self._storage_options = (credentials or {}) | (fs_args or {})
        self.metadata = metadata

    def load(self) -> ClipStore:
        """Open the clips. Raises CorruptShardError (within Kedro's DatasetError) where no complete set lies."""
        return ClipStore(self._filepath, storage_options=self._storage_options)

    def save(self, data: ClipSource | Iterable[Clip]) -> None:
        """Make and write the clips; shards that are already there and would come out the same stay."""
        write_shards(
            data,
            self._filepath,
            clips_per_shard=self._clips_per_shard,
            jobs=self._jobs,
            backend=self._backend,
            coding=self._coding,
            storage_options=self._storage_options,
        )

    def _exists(self) -> bool:
        return ClipStore.exists(self._filepath, storage_options=self._storage_options)

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": self._filepath,
            "clips_per_shard": self._clips_per_shard,
            "jobs": self._jobs,
            "backend": self._backend,
            "coding": self._coding.model_dump(),
        }
