"""Kedro dataset of a model that others trained: a hub id, or a folder that this project does not write."""

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from phys4d_kedro.world_model.folders import is_hub_id, read_model_index, resolve_folder


class PretrainedModelDataset(AbstractDataset[NoReturn, Path]):
    """A pipeline folder in diffusers layout, from the hub or a disk; it is never written. YAML:

        backbone:
          type: phys4d_kedro.datasets.pretrained_model.PretrainedModelDataset
          source: Wan-AI/Wan2.2-TI2V-5B-Diffusers

    A hub id is downloaded when first loaded, into the hub's cache (HF_HOME says where it lies, HF_HUB_OFFLINE=1 takes
    what is there). What is downloaded are the parts that model_index.json may list, not the repository's other files.
    """

    def __init__(self, *, source: str, metadata: dict[str, Any] | None = None) -> None:
        self.source = source
        self.metadata = metadata

    def load(self) -> Path:
        """The local folder, looked at but not read: see `read_model_index`.

        Raises:
            CheckpointError: it is missing, partial or damaged, or cannot be fetched (within Kedro's DatasetError).
        """
        folder = resolve_folder(self.source)
        read_model_index(folder)
        return folder

    def save(self, data: NoReturn) -> NoReturn:
        """Always raises DatasetError."""
        raise DatasetError(
            f"'{self.source}' is a pretrained model, which no pipeline writes; give `backbone` the type "
            f"phys4d_kedro.datasets.model_directory.ModelDirectoryDataset to train one"
        )

    def _exists(self) -> bool:
        """Whether the folder is there; a hub id is taken at its word, as it is fetched only when it is loaded."""
        return Path(self.source).is_dir() or is_hub_id(self.source)

    def _describe(self) -> dict[str, Any]:
        return {"source": self.source}
