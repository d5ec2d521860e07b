"""Model folders are checked before anything is loaded: whatever is missing or damaged is named, in milliseconds."""

import json
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.world_model.folders import read_model_index, resolve_folder

Damage = Callable[[Path], object]
SHARDS = ("a.safetensors", "b.safetensors")


def write_model(folder: Path, file: str) -> None:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file({"weight": torch.zeros(4, 4), "bias": torch.zeros(4)}, folder / file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of every kind of component, its text encoder in two shards; two optional components are left out."""
    folder = tmp_path / "model"
    folder.mkdir()
    write_model(folder / "transformer", "diffusion_pytorch_model.safetensors")
    write_model(folder / "vae", "diffusion_pytorch_model.safetensors")
    write_model(folder / "text_encoder", SHARDS[0])
    write_model(folder / "image_encoder", "model.safetensors")
    shutil.copy(folder / "text_encoder" / SHARDS[0], folder / "text_encoder" / SHARDS[1])
    weight_map = {"weight": SHARDS[0], "bias": SHARDS[1]}
    (folder / "text_encoder/model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for part, file in (
        ("tokenizer", "tokenizer_config.json"),
        ("tokenizer", "spiece.model"),
        ("scheduler", "scheduler_config.json"),
        ("image_processor", "preprocessor_config.json"),
    ):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / file).write_text("{}")
    index = {
        "_class_name": "WanImageToVideoPipeline",
        "expand_timesteps": False,
        "boundary_ratio": None,
        "image_encoder": ["transformers", "CLIPVisionModel"],
        "image_processor": ["transformers", "CLIPImageProcessor"],
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "transformer_2": [None, None],
        "vae": ["diffusers", "AutoencoderKLWan"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def remove(path: str) -> Damage:
    """Take a file or a folder away."""
    return lambda folder: shutil.rmtree(folder / path) if (folder / path).is_dir() else (folder / path).unlink()


def write(path: str, content: bytes) -> Damage:
    """Put other bytes into a file."""
    return lambda folder: (folder / path).write_bytes(content)


def cut(path: str, less: int) -> Damage:
    """Cut a file's end off, or with a negative number, add to it."""

    def damage(folder: Path) -> None:
        content = (folder / path).read_bytes()
        (folder / path).write_bytes(content[:-less] if less > 0 else content + b"0" * -less)

    return damage


TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
ENCODER = "text_encoder/model.safetensors.index.json"


def test_a_whole_folder_is_taken(folder: Path) -> None:
    assert read_model_index(folder, family="Wan")["expand_timesteps"] is False


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("model_index.json"), r"model_index\.json is missing or damaged \(FileNotFoundError\)"),
        (write("model_index.json", b'{"_class'), r"model_index\.json is missing or damaged"),
        (write("model_index.json", b"3"), r"model_index\.json is missing or damaged"),
        (remove("vae"), "is partial: it has no vae;"),
        (remove("image_encoder"), "is partial: it has no image_encoder;"),
        (remove("scheduler"), "is partial: it has no scheduler;"),
        (remove("transformer/config.json"), r"transformer/config\.json is missing or damaged"),
        (write("vae/config.json", b""), r"vae/config\.json is missing or damaged"),
        (remove("scheduler/scheduler_config.json"), r"scheduler_config\.json is missing or damaged"),
        (remove("image_processor/preprocessor_config.json"), r"preprocessor_config\.json is missing or damaged"),
        (remove("tokenizer/spiece.model"), r"tokenizer has no vocabulary \(tokenizer\.json or spiece\.model"),
        (remove("tokenizer/tokenizer_config.json"), r"tokenizer_config\.json is missing or damaged"),
        (remove(TRANSFORMER), r"transformer has no weights \(diffusion_pytorch_model\.safetensors or model\."),
        (cut(TRANSFORMER, 4), r"model\.safetensors is truncated: it has \d+ bytes, by its header \d+;"),
        (cut(TRANSFORMER, -4), r"model\.safetensors is damaged: it has \d+ bytes, by its header \d+;"),
        (write(TRANSFORMER, b""), r"model\.safetensors is damaged: it has no header"),
        (write(TRANSFORMER, struct.pack("<Q", 2**62)), r"model\.safetensors is damaged: it has no header"),
        (write(TRANSFORMER, struct.pack("<Q", 2) + b"[]"), r"model\.safetensors is damaged: it has no header"),
        (write(TRANSFORMER, b"version https://git-lfs.github.com/spec/v1\n"), "pointer of git-lfs.*git lfs pull"),
        (remove(f"text_encoder/{SHARDS[1]}"), r"text_encoder lacks b\.safetensors of the 2 shards in model\.safe"),
        (cut(f"text_encoder/{SHARDS[1]}", 4), r"text_encoder/b\.safetensors is truncated"),
        (write(ENCODER, b"{}"), r"index\.json names no shards"),
    ],
)
def test_what_is_missing_or_damaged_is_named(folder: Path, damage: Damage, message: str) -> None:
    damage(folder)
    started = time.process_time()
    with pytest.raises(CheckpointError, match=message):
        read_model_index(folder)
    assert time.process_time() - started < 0.5


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / TRANSFORMER).rename(folder / "transformer/diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"as \*\.bin alone, which can run code"):
        read_model_index(folder)


def test_another_family_is_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a WanImageToVideoPipeline, not a CogVideoX pipeline"):
        read_model_index(folder, family="CogVideoX")


def test_large_weights_are_not_read(folder: Path) -> None:
    with (folder / TRANSFORMER).open("wb") as file:  # a file of 1 TB without blocks
        header = json.dumps({"weight": {"dtype": "U8", "shape": [10**12], "data_offsets": [0, 10**12]}}).encode()
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 10**12)
    started = time.process_time()
    read_model_index(folder)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("source", ["no/such/folder", "./nothing", "nothing", "/no/folder"])
def test_what_is_neither_folder_nor_hub_id_is_named(source: str) -> None:
    with pytest.raises(CheckpointError, match="no model folder"):
        resolve_folder(source)


@pytest.mark.parametrize("source", ["owner/nothing", "owner/--", "own er/name"])
def test_what_cannot_be_fetched_is_named(source: str) -> None:
    with pytest.raises(CheckpointError, match=f"'{source}' is no local folder and could not be fetched"):
        resolve_folder(source)


class TestHubCache:
    """What a download left in the hub's cache, offline."""

    @pytest.fixture
    def snapshot(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        cache = tmp_path / "hub"
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
        snapshot = cache / "models--owner--name/snapshots" / ("0" * 40)
        (cache / "models--owner--name/refs").mkdir(parents=True)
        (cache / "models--owner--name/refs/main").write_text("0" * 40)
        snapshot.parent.mkdir()
        folder.rename(snapshot)
        return snapshot

    def test_a_whole_snapshot_is_found(self, snapshot: Path) -> None:
        assert resolve_folder("owner/name") == snapshot
        read_model_index(snapshot)

    def test_a_partial_snapshot_is_refused_with_the_command_that_completes_it(self, snapshot: Path) -> None:
        file = snapshot / TRANSFORMER
        file.unlink()
        file.symlink_to(snapshot.parents[1] / "blobs" / "missing")
        with pytest.raises(CheckpointError, match=r"has no weights .*run `hf download owner/name --force-download`"):
            read_model_index(resolve_folder("owner/name"))
