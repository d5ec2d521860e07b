"""The Kedro dataset of a model folder: whole or absent."""

import errno
from pathlib import Path

import pytest
from kedro.io import DatasetError
from safetensors import SafetensorError

from phys4d_kedro.datasets.model_directory import ModelDirectoryDataset
from phys4d_kedro.errors import CheckpointError, StorageFullError


def write(text: str, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/weights").write_text(text)


@pytest.fixture
def dataset(tmp_path: Path) -> ModelDirectoryDataset:
    return ModelDirectoryDataset(filepath=str(tmp_path / "models/m"), metadata={"pipeline": "backbone"})


def test_a_folder_is_written_replaced_and_loaded(dataset: ModelDirectoryDataset, tmp_path: Path) -> None:
    assert not dataset.exists()
    for text in ("one", "two"):
        dataset.save(lambda folder, text=text: write(text, folder))
        assert dataset.exists()
        assert dataset.load() == tmp_path / "models/m"
        assert (dataset.load() / "sub/weights").read_text() == text
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["m"]


def test_a_failing_writer_leaves_the_old_folder(dataset: ModelDirectoryDataset, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write("half", folder)
        raise OSError("no more")

    dataset.save(lambda folder: write("old", folder))
    with pytest.raises(DatasetError, match="no more"):
        dataset.save(fail)
    assert (dataset.load() / "sub/weights").read_text() == "old"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["m"]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left (os error 28)")],
)
def test_a_full_disk_is_named_and_loses_nothing(
    dataset: ModelDirectoryDataset, tmp_path: Path, error: Exception
) -> None:
    def fail(folder: Path) -> None:
        write("half", folder)
        raise error

    dataset.save(lambda folder: write("old", folder))
    with pytest.raises(DatasetError, match="no space left to write model folder") as caught:
        dataset.save(fail)
    assert isinstance(caught.value.__cause__, StorageFullError)
    assert (dataset.load() / "sub/weights").read_text() == "old"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["m"]


def test_leftovers_of_a_killed_run_do_no_harm(dataset: ModelDirectoryDataset, tmp_path: Path) -> None:
    for name in (".m.part", ".m.old"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "junk").write_text("x")
    dataset.save(lambda folder: write("new", folder))
    assert [path.name for path in dataset.load().iterdir()] == ["sub"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["m"]


def test_a_folder_moved_aside_by_a_killed_run_is_found_again(dataset: ModelDirectoryDataset, tmp_path: Path) -> None:
    dataset.save(lambda folder: write("old", folder))
    (tmp_path / "models/m").rename(tmp_path / "models/.m.old")  # killed between the two renames
    assert dataset.exists()
    assert (dataset.load() / "sub/weights").read_text() == "old"


def test_a_missing_model_names_the_pipeline(dataset: ModelDirectoryDataset) -> None:
    with pytest.raises(DatasetError, match="kedro run --pipeline=backbone") as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, CheckpointError)
