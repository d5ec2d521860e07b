"""Kedro dataset of cached VAE latents and prompt embeddings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from phys4d_kedro.world_model.latents import LatentCache


class LatentCacheDataset(AbstractDataset[Callable[[LatentCache], Any], LatentCache]):
    """A folder of latents: saving takes a function that fills the cache in place, loading gives the cache.

    What is cached already stays: filling can be cut anywhere and goes on where it was. YAML:

        latents:
          type: phys4d_kedro.datasets.latent_cache.LatentCacheDataset
          filepath: data/05_model_input/latents
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata or {}

    def load(self) -> LatentCache:
        """The cache."""
        return LatentCache(self._filepath)

    def save(self, data: Callable[[LatentCache], Any]) -> None:
        """Call `data(cache)` to fill the cache."""
        data(LatentCache(self._filepath))

    def _exists(self) -> bool:
        return (self._filepath / "index").is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
