"""Kedro dataset of a folder that holds a model (diffusers or transformers layout)."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from phys4d_kedro.clips.files import disk_is_full
from phys4d_kedro.errors import CheckpointError, StorageFullError


class ModelDirectoryDataset(AbstractDataset[Callable[[Path], None], Path]):
    """A model folder: saving takes a function that writes it into an empty folder, loading gives its path.

    The folder is written beside its place and renamed, so that it is either whole or absent. YAML:

        backbone:
          type: phys4d_kedro.datasets.model_directory.ModelDirectoryDataset
          filepath: data/06_models/backbone
          metadata: {pipeline: backbone}

    `metadata.pipeline` names the pipeline that makes the model, for the error message where it is missing.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata or {}

    def load(self) -> Path:
        """The folder. Raises CheckpointError (within Kedro's DatasetError) where there is none."""
        if not self._exists():
            pipeline = self.metadata.get("pipeline")
            remedy = f"kedro run --pipeline={pipeline}" if pipeline else "run the pipeline that makes it"
            raise CheckpointError(f"model folder '{self._filepath}' is missing or empty; to make it: {remedy}")
        return self._filepath

    def save(self, data: Callable[[Path], None]) -> None:
        """Call `data(folder)` to write the model, then put the folder in place of what was there.

        Raises:
            StorageFullError: the disk is full (within Kedro's DatasetError); what was there stays.
        """
        self._put_back()
        partial = self._sibling("part")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            data(partial)
        except BaseException as error:
            shutil.rmtree(partial, ignore_errors=True)
            if disk_is_full(error):
                raise StorageFullError(
                    f"no space left to write model folder '{self._filepath}'; free some and run again: the folder "
                    "that was there stays"
                ) from error
            raise
        shutil.rmtree(self._sibling("old"), ignore_errors=True)
        if self._filepath.exists():
            self._filepath.rename(self._sibling("old"))
        partial.rename(self._filepath)
        shutil.rmtree(self._sibling("old"), ignore_errors=True)

    def _exists(self) -> bool:
        self._put_back()
        return self._filepath.is_dir() and any(self._filepath.iterdir())

    def _sibling(self, role: str) -> Path:
        return self._filepath.with_name(f".{self._filepath.name}.{role}")

    def _put_back(self) -> None:
        """Undo the first of the two renames of `save` where a run was killed before the second."""
        if not self._filepath.exists() and self._sibling("old").exists():
            self._sibling("old").rename(self._filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
