"""Published Open-Sora v1.2 checkpoints -> one pipeline folder in diffusers layout.

    python -m phys4d_kedro.world_model.opensora.convert \\
        --transformer OpenSora-STDiT-v3 --vae OpenSora-VAE-v1.2 --text-encoder t5-v1_1-xxl OUTPUT [--dtype bf16]

All names and shapes are checked before anything is written; one model is in memory at a time. The folder appears
whole, or not at all.
"""

import argparse
import inspect
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from phys4d_kedro.clips.files import disk_is_full
from phys4d_kedro.errors import CheckpointError, Phys4DError, StorageFullError
from phys4d_kedro.world_model.backbones.pretrained import DTYPES
from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder
from phys4d_kedro.world_model.opensora.embeddings import RotaryEmbedding
from phys4d_kedro.world_model.opensora.pipeline import OpenSoraPipeline
from phys4d_kedro.world_model.opensora.scheduler import OpenSoraScheduler
from phys4d_kedro.world_model.opensora.transformer import STDiT3

_ABOUT = "Published Open-Sora v1.2 checkpoints -> one pipeline folder in diffusers layout."
_TOKENIZERS = ("tokenizer.json", "spiece.model")
_COMPUTED = {"transformer": frozenset({"rope.freqs", "pos_embed.inv_freq"})}  # a checkpoint may have these or not
_SHOWN = 3  # odd names that an error tells
_SOURCES = {
    "transformer": "hpcai-tech/OpenSora-STDiT-v3",
    "vae": "hpcai-tech/OpenSora-VAE-v1.2",
    "text_encoder": "DeepFloyd/t5-v1_1-xxl --revision refs/pr/3",  # where it is in safetensors
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a folder's safetensors files, by name: their shapes, and the file of each."""

    part: str
    folder: Path
    shapes: Mapping[str, tuple[int, ...]]
    files: Mapping[str, Path]

    @staticmethod
    def open(part: str, folder: Path) -> "Checkpoint":
        """Read the headers of a folder's files; `part` is what the folder is to be, a key of the pipeline.

        Raises:
            CheckpointError: there is no such file, or one is damaged.
        """
        shapes, files = {}, {}
        for path in sorted(folder.glob("*.safetensors")):
            try:
                with safe_open(path, framework="pt") as file:
                    for name in file.keys():  # noqa: SIM118 - no mapping
                        shapes[name], files[name] = tuple(file.get_slice(name).get_shape()), path
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{path} is damaged or no safetensors file ({error}); {_fetch(part)}") from error
        if not shapes:
            raise CheckpointError(f"{folder} has no model.safetensors; {_fetch(part)}")
        return Checkpoint(part, folder, shapes, files)

    def check(self, model: torch.nn.Module) -> None:
        """Raise CheckpointError unless the tensors are exactly the model's, but for those that can be computed."""
        expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        computed = _COMPUTED.get(self.part, frozenset())
        misshapen = [
            f"{name} {self.shapes[name]} instead of {shape}"
            for name, shape in expected.items()
            if self.shapes.get(name, shape) != shape
        ]
        wrong = {
            "lacks": [name for name in expected if name not in {*self.shapes, *computed}],
            "has no use for": [name for name in self.shapes if name not in {*expected, *computed}],
            "has other shapes for": misshapen,
        }
        found = [f"{what} {_first(names)}" for what, names in wrong.items() if names]
        if found:
            file = next(iter(self.files.values()))
            raise CheckpointError(
                f"{file} {'; it '.join(found)}: it is no {self.part} of Open-Sora v1.2, or of other sizes than its "
                f"config.json says; {_fetch(self.part)}"
            )

    def load(self, model: Any, dtype: torch.dtype | None) -> None:
        """Put the tensors in the place of the model's own; what has none here stays as it is."""
        kept = tuple(f"{module}." for module in model._keep_in_fp32_modules or ())
        wanted = model.state_dict()
        tensors = {}
        for path in dict.fromkeys(self.files.values()):
            with safe_open(path, framework="pt") as file:
                for name in wanted.keys() & file.keys():
                    precision = torch.float32 if name.startswith(kept) else dtype
                    tensors[name] = file.get_tensor(name).to(precision)
        model.load_state_dict(tensors, assign=True, strict=False)  # `check` has been strict


def convert(
    transformer: Path,
    vae: Path,
    text_encoder: Path,
    output: Path,
    *,
    dtype: torch.dtype | None = None,
    shard_size: str = "5GB",
    vae_sizes: Mapping[str, Any] | None = None,
) -> None:
    """Write the pipeline folder `output` from three published ones.

    Args:
        transformer: with `config.json` and `model.safetensors` of an STDiT3.
        vae: with `model.safetensors` of a video VAE.
        text_encoder: a T5 encoder and its tokenizer as transformers keeps them.
        dtype: of all weights; None: as each checkpoint has them.
        shard_size: of the largest file.
        vae_sizes: arguments of `OpenSoraAutoencoder`, for a VAE of other sizes than the published one.

    Raises:
        CheckpointError: a file is missing, damaged or another model's, or `output` is not empty; nothing is written.
        StorageFullError: the disk is full; nothing is left behind.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CheckpointError(f"{output} exists and is not an empty folder; give another, or remove it")
    checkpoints = {"transformer": Checkpoint.open("transformer", transformer), "vae": Checkpoint.open("vae", vae)}
    models = _empty_models(_transformer_sizes(transformer), vae_sizes or {})
    for name, checkpoint in checkpoints.items():
        checkpoint.check(models[name])
    _check_widths(models["transformer"].config, models["vae"].config, _read_config("text_encoder", text_encoder, "t5"))
    tokenizer = _read_tokenizer(text_encoder)
    with _written_whole(output) as folder:
        models["text_encoder"] = _read_text_encoder(text_encoder, dtype)
        for name in ("text_encoder", "transformer", "vae"):
            _log.info("Writing the %s", name)
            if name in checkpoints:
                checkpoints[name].load(models[name], dtype)
            models[name].save_pretrained(folder / name, max_shard_size=shard_size)
            models[name].to("meta")
        parts = {**models, "tokenizer": tokenizer, "scheduler": OpenSoraScheduler()}
        for name in ("tokenizer", "scheduler"):
            parts[name].save_pretrained(folder / name)
        OpenSoraPipeline(**parts).save_config(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m phys4d_kedro.world_model.opensora.convert", description=_ABOUT)
    for part, source in _SOURCES.items():
        option = f"--{part.replace('_', '-')}"
        parser.add_argument(option, type=Path, required=True, metavar="DIR", help=f"{source}, downloaded")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the folder to write: a new or an empty one")
    parser.add_argument("--dtype", choices=DTYPES, help="of all weights; as published unless given")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        convert(
            chosen.transformer, chosen.vae, chosen.text_encoder, chosen.output, dtype=DTYPES.get(chosen.dtype or "")
        )
    except Phys4DError as error:
        parser.exit(1, f"{error}\n")


@contextmanager
def _written_whole(output: Path) -> Iterator[Path]:
    """A folder beside `output` that becomes it when the block ends well, and is gone when it does not."""
    partial = output.with_name(f".{output.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(output)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if disk_is_full(error):
            raise StorageFullError(f"no space left to write {output}; free some and convert again") from error
        raise


def _read_config(part: str, folder: Path, model_type: str) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is missing or damaged ({type(error).__name__}); {_fetch(part)}") from error
    if config.get("model_type") != model_type:
        raise CheckpointError(f"{path}: model_type is {config.get('model_type')}, not {model_type}; {_fetch(part)}")
    return dict(config)


def _transformer_sizes(folder: Path) -> dict[str, Any]:
    """The arguments of STDiT3 that a published config.json names; it has others, of training, that change no output."""
    config = _read_config("transformer", folder, "STDiT3")
    return {name: config[name] for name in inspect.signature(STDiT3.__init__).parameters if name in config}


def _empty_models(transformer: Mapping[str, Any], vae: Mapping[str, Any]) -> dict[str, Any]:
    """Models of these sizes whose tensors take no memory."""
    with torch.device("meta"):
        models: dict[str, Any] = {"transformer": STDiT3(**transformer), "vae": OpenSoraAutoencoder(**vae)}
    config = models["transformer"].config
    models["transformer"].rope = RotaryEmbedding(config.hidden_size // config.num_heads)  # a checkpoint may lack it
    return models


def _check_widths(transformer: Any, vae: Any, text_encoder: Mapping[str, Any]) -> None:
    if transformer.caption_channels != text_encoder.get("d_model"):
        raise CheckpointError(
            f"the transformer takes prompts of {transformer.caption_channels} channels (caption_channels in its "
            f"config.json), the text encoder has {text_encoder.get('d_model')} (d_model); {_fetch('text_encoder')}"
        )
    if transformer.in_channels != vae.latent_channels:
        raise CheckpointError(
            f"the transformer takes latents of {transformer.in_channels} channels (in_channels in its config.json), "
            f"the VAE has {vae.latent_channels}; {_fetch('transformer')}"
        )


def _read_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _TOKENIZERS):  # transformers would make an empty one
        raise CheckpointError(f"{folder} has no tokenizer ({' or '.join(_TOKENIZERS)}); {_fetch('text_encoder')}")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise CheckpointError(
            f"the tokenizer in {folder} cannot be read ({error}); where it is spiece.model alone: "
            f"pip install sentencepiece protobuf"
        ) from error


def _read_text_encoder(folder: Path, dtype: torch.dtype | None) -> Any:
    from transformers import T5EncoderModel

    try:
        encoder, report = T5EncoderModel.from_pretrained(
            folder, dtype=dtype or "auto", local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} has no T5 encoder that can be read ({error}); {_fetch('text_encoder')}"
        ) from error
    if report["missing_keys"]:
        raise CheckpointError(f"{folder} lacks {_first(sorted(report['missing_keys']))}; {_fetch('text_encoder')}")
    return encoder


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _fetch(part: str) -> str:
    return f"to get it: hf download {_SOURCES[part]} --local-dir DIR"


if __name__ == "__main__":
    main()
