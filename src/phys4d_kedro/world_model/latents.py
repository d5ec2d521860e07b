"""The cache of VAE latents and of conditions, keyed by content, filled once by a node of its own.

    <folder>/latents/<key>.safetensors   latents, and the first frame as a condition; key = hash of the clip's RGB, of
                                         the VAE and image encoder, and of how the model takes a first frame
    <folder>/prompts/<key>.safetensors   prompt embeddings; key = hash of the prompt and of the text side
    <folder>/index/<key>.json            the entries of one set of clips with one backbone

Equal frames share an entry whatever else their clips hold, and a changed VAE never reads a stale latent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.files import open_root, written_whole
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError, InvalidClipError

if TYPE_CHECKING:  # torch is loaded when a cache is used, not when a pipeline that names it is listed
    import torch

    from phys4d_kedro.world_model.backbones.base import Backbone, Condition

_BATCH_PIXELS = 600_000  # eight nano clips: three times as quick a clip on a CPU as one by one
_TEXT_SIDE = ("text_encoder", "tokenizer")
_IMAGE_SIDE = ("vae", "image_encoder", "image_processor")


@dataclass(frozen=True)
class LatentSet:
    """The latents and conditions of a set of clips, in its order, read when asked for."""

    folder: Path
    clip_ids: Sequence[str]
    latent_keys: Sequence[str]
    prompt_keys: Sequence[str]

    def __len__(self) -> int:
        return len(self.clip_ids)

    def latents(self, indices: Sequence[int]) -> torch.Tensor:
        """Normalised latents (B, C, t, h, w) float32."""
        import torch

        return torch.cat([_read(self.folder / "latents", self.latent_keys[i])["latents"] for i in indices])

    def conditions(self, indices: Sequence[int]) -> Condition:
        """What each clip would be generated from: its prompt, and its first frame where the model takes one."""
        from phys4d_kedro.world_model.backbones.base import Condition

        parts = []
        for i in indices:
            first_frame = _read(self.folder / "latents", self.latent_keys[i])
            del first_frame["latents"]
            parts.append(Condition(**first_frame, **_read(self.folder / "prompts", self.prompt_keys[i])))
        return Condition.stack(parts)


class LatentCache:
    """A folder of cached latents. See the module's docstring for its layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, sets: Sequence[ClipStore], backbone: Backbone) -> LatentSet:
        """Encode what is not cached yet of one or several sets of clips, taken as one.

        Can be cut anywhere: every entry is written whole or not at all.

        Raises:
            InvalidClipError: the clips are not all of one size and length.
            StorageFullError: the disk is full; entries already made are kept.
        """
        _check_sizes(sets)
        image, text = _image_side(backbone), backbone.fingerprint(*_TEXT_SIDE)
        entries: list[tuple[str, str, str]] = []
        members = iter([(clips, clip_id) for clips in sets for clip_id in clips.ids])
        with tqdm(total=sum(map(len, sets)), desc="Encoding latents", unit="clip") as bar:
            while batch := list(islice(members, _batch_size(sets))):
                read = [clips.read(clip_id, keys=["rgb"]) for clips, clip_id in batch]
                keys = [(_key(image, clip.rgb.shape, clip.rgb.tobytes()), _key(text, clip.prompt)) for clip in read]
                self._encode(read, keys, backbone)
                entries += [(clip.clip_id, *pair) for clip, pair in zip(read, keys, strict=True)]
                bar.update(len(batch))
        _write_whole(self._index(sets, image, text), json.dumps(entries).encode())
        return self.open(sets, backbone)

    def _encode(self, clips: list[Clip], keys: list[tuple[str, str]], backbone: Backbone) -> None:
        """Encode a batch and write what is not there yet.

        The batch is encoded whole even if some of it is there: a clip's numbers depend, in their last bits, on its
        batch, and must not depend on where an earlier run was cut.
        """
        import torch

        files = [
            (self.folder / "latents" / f"{a}.safetensors", self.folder / "prompts" / f"{b}.safetensors")
            for a, b in keys
        ]
        if all(latents.exists() and prompt.exists() for latents, prompt in files):
            return
        rgb = torch.stack([torch.from_numpy(clip.rgb) for clip in clips])
        first = rgb[:, :1] if backbone.takes_first_frame else None
        encoded = backbone.encode_condition([clip.prompt for clip in clips], first, frames=rgb.shape[1]).tensors()
        text = {name: encoded.pop(name) for name in ("text", "text_mask") if name in encoded}
        encoded["latents"] = backbone.encode_video(rgb)
        for i, (latents, prompt) in enumerate(files):
            if not prompt.exists():
                _write(prompt, {name: value[i : i + 1] for name, value in text.items()})
            if not latents.exists():
                _write(latents, {name: value[i : i + 1] for name, value in encoded.items()})

    def open(self, sets: Sequence[ClipStore], backbone: Backbone) -> LatentSet:
        """The cached entries of sets of clips, in their order.

        Raises:
            CheckpointError: this set was not encoded with this backbone.
        """
        path = self._index(sets, _image_side(backbone), backbone.fingerprint(*_TEXT_SIDE))
        if not path.exists():
            raise CheckpointError(
                f"{self.folder} holds no latents of these clips made by this backbone's VAE and text encoder; run the "
                f"pipeline from its caching node again"
            )
        clip_ids, latent_keys, prompt_keys = zip(*json.loads(path.read_text()), strict=True)
        return LatentSet(self.folder, clip_ids, latent_keys, prompt_keys)

    def _index(self, sets: Sequence[ClipStore], image: str, text: str) -> Path:
        return self.folder / "index" / f"{_key(*(clips.fingerprint for clips in sets), image, text)}.json"


def _image_side(backbone: Backbone) -> str:
    """Hash of all that decides what becomes of frames."""
    channels = backbone.transformer_config.in_channels
    return _key(backbone.fingerprint(*_IMAGE_SIDE), backbone.family, backbone.takes_first_frame, channels)


def _key(*parts: object) -> str:
    """SHA-256 of parts, bytes or anything whose text says what it is."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()


def _batch_size(sets: Sequence[ClipStore]) -> int:
    """How many clips are encoded at once: many small ones, large ones one by one."""
    frames, height, width = sets[0].manifest[["frames", "height", "width"]].iloc[0]
    return max(1, _BATCH_PIXELS // int(frames * height * width))


def _check_sizes(sets: Sequence[ClipStore]) -> None:
    """Batches are stacked, so all clips must agree."""
    manifests = [clips.manifest for clips in sets]
    columns = ["frames", "height", "width"]
    for manifest in manifests:
        odd = manifest[(manifest[columns] != manifests[0][columns].iloc[0]).any(axis=1)]
        if len(odd):
            found, expected = odd.iloc[0], manifests[0][columns].iloc[0].tolist()
            raise InvalidClipError(
                f"clip '{found['clip_id']}' is {found[columns].tolist()} (frames, height, width), other clips are "
                f"{expected}; make all clips of one training set with the same `clip` sizes in conf/base/globals.yml"
            )


def _read(folder: Path, key: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / f"{key}.safetensors")


def _write(path: Path, values: dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save

    kept = {name: value.detach().cpu().contiguous() for name, value in values.items()}
    _write_whole(path, save(kept))


def _write_whole(path: Path, content: bytes) -> None:
    fs, target = open_root(str(path))
    with written_whole(fs, target) as file:
        file.write(content)
