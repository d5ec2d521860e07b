"""The cache of VAE latents and prompt embeddings, keyed by content, filled once by a node of its own.

    <folder>/latents/<key>.safetensors   key = hash of the clip's RGB and of the VAE
    <folder>/prompts/<key>.safetensors   key = hash of the prompt and of the text side
    <folder>/index/<key>.json            the entries of one set of clips with one backbone

Equal frames share an entry whatever else their clips hold, and a changed VAE never reads a stale latent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from phys4d_kedro.clips.files import open_root, written_whole
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError, InvalidClipError

if TYPE_CHECKING:  # torch is loaded when a cache is used, not when a pipeline that names it is listed
    import torch

    from phys4d_kedro.world_model.backbones.base import Backbone

_TEXT_SIDE = ("text_encoder", "tokenizer")


@dataclass(frozen=True)
class LatentSet:
    """The latents and prompt embeddings of a set of clips, in its order, read when asked for."""

    folder: Path
    clip_ids: Sequence[str]
    latent_keys: Sequence[str]
    prompt_keys: Sequence[str]

    def __len__(self) -> int:
        return len(self.clip_ids)

    def latents(self, indices: Sequence[int]) -> torch.Tensor:
        """Normalised latents (B, C, t, h, w) float32."""
        import torch

        return torch.stack([_read(self.folder / "latents", self.latent_keys[i]) for i in indices])

    def prompts(self, indices: Sequence[int]) -> torch.Tensor:
        """Prompt embeddings (B, L, text width) float32."""
        import torch

        return torch.stack([_read(self.folder / "prompts", self.prompt_keys[i]) for i in indices])


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
        import torch

        _check_sizes(sets)
        vae, text = backbone.fingerprint("vae"), backbone.fingerprint(*_TEXT_SIDE)
        entries = []
        members = [(clips, clip_id) for clips in sets for clip_id in clips.ids]
        for clips, clip_id in tqdm(members, desc="Encoding latents", unit="clip"):
            clip = clips.read(clip_id, keys=["rgb"])
            rgb = torch.from_numpy(clip.rgb)
            key = hashlib.sha256(vae.encode() + str(tuple(rgb.shape)).encode() + clip.rgb.tobytes()).hexdigest()
            if not (self.folder / "latents" / f"{key}.safetensors").exists():
                _write(self.folder / "latents", key, backbone.encode_video(rgb[None])[0])
            prompt_key = hashlib.sha256(text.encode() + clip.prompt.encode()).hexdigest()
            if not (self.folder / "prompts" / f"{prompt_key}.safetensors").exists():
                _write(self.folder / "prompts", prompt_key, backbone.encode_prompts([clip.prompt])[0])
            entries.append((clip_id, key, prompt_key))
        _write_whole(self._index(sets, vae, text), json.dumps(entries).encode())
        return self.open(sets, backbone)

    def open(self, sets: Sequence[ClipStore], backbone: Backbone) -> LatentSet:
        """The cached entries of sets of clips, in their order.

        Raises:
            CheckpointError: this set was not encoded with this backbone.
        """
        path = self._index(sets, backbone.fingerprint("vae"), backbone.fingerprint(*_TEXT_SIDE))
        if not path.exists():
            raise CheckpointError(
                f"{self.folder} holds no latents of these clips made by this backbone's VAE and text encoder; run the "
                f"pipeline from its caching node again"
            )
        clip_ids, latent_keys, prompt_keys = zip(*json.loads(path.read_text()), strict=True)
        return LatentSet(self.folder, clip_ids, latent_keys, prompt_keys)

    def _index(self, sets: Sequence[ClipStore], vae: str, text: str) -> Path:
        key = hashlib.sha256(":".join([*(clips.fingerprint for clips in sets), vae, text]).encode()).hexdigest()
        return self.folder / "index" / f"{key}.json"


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


def _read(folder: Path, key: str) -> torch.Tensor:
    from safetensors.torch import load_file

    return load_file(folder / f"{key}.safetensors")["value"]


def _write(folder: Path, key: str, value: torch.Tensor) -> None:
    from safetensors.torch import save

    _write_whole(folder / f"{key}.safetensors", save({"value": value.detach().cpu().contiguous()}))


def _write_whole(path: Path, content: bytes) -> None:
    fs, target = open_root(str(path))
    with written_whole(fs, target) as file:
        file.write(content)
