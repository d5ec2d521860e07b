"""Kedro dataset of a folder that holds a model (diffusers or transformers layout)."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from phys4d_kedro.errors import CheckpointError


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
            raise CheckpointError(
                f"model folder '{self._filepath}' is missing or empty; to make it: {remedy}"
            )
        return self._filepath

    def save(self, data: Callable[[Path], None]) -> None:
        """Call `data(folder)` to write the model, then put the folder in place of what was there."""
        partial = self._filepath.with_name(f".{self._filepath.name}.part")
        replaced = self._filepath.with_name(f".{self._filepath.name}.old")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            data(partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        shutil.rmtree(replaced, ignore_errors=True)
        if self._filepath.exists():
            self._filepath.rename(replaced)
        partial.rename(self._filepath)
        shutil.rmtree(replaced, ignore_errors=True)

    def _exists(self) -> bool:
        return self._filepath.is_dir() and any(self._filepath.iterdir())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
