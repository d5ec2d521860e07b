"""What the families share: a folder in diffusers layout whose parts are loaded when first used, as conf says."""

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import component_fingerprint, read_model_index, resolve_folder

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TIMESTEPS = 1000  # of all families: noise level 1


class PretrainedBackbone:
    """Base of the families. See `Backbone` for the contract of each method.

    Args:
        source: a folder in diffusers layout, or a hub id.
        loading: precision, devices and what saves memory.

    Raises:
        CheckpointError: the folder is missing or partial, is of another family, or the hub cannot be reached.
    """

    family: ClassVar[str]  # how the names of its pipelines in model_index.json begin
    pipelines: ClassVar[tuple[str, ...]]  # those names
    chunk_latents: int | None = None

    def __init__(self, source: str | Path, loading: LoadingConfig | None = None) -> None:
        self.folder = resolve_folder(source)
        self.index = read_model_index(self.folder, family=self.family)
        if self.index["_class_name"] not in self.pipelines:
            raise CheckpointError(
                f"{self.folder} holds a {self.index['_class_name']}, not a {' or '.join(self.pipelines)}"
            )
        self.loading = loading or LoadingConfig()
        self.dtype = DTYPES[self.loading.dtype]
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(automatic if self.loading.device == "auto" else self.loading.device)

    def fingerprint(self, *components: str) -> str:
        return component_fingerprint(self.folder, components)

    def load_part(self, name: str, loader: Any) -> Any:
        """A model of the folder, frozen, on its device or offloaded as conf says."""
        model = loader.from_pretrained(self.folder, subfolder=name, dtype=self.dtype).eval().requires_grad_(False)
        if self.loading.offload == "none":
            return model.to(self.device)
        from accelerate import cpu_offload_with_hook

        # Each part goes to the device when it is used, and back when the next one is.
        model, self._last_hook = cpu_offload_with_hook(model, self.device, getattr(self, "_last_hook", None))
        return model

    def load_transformer(self, loader: Any) -> Any:
        """The transformer: split over devices, offloaded layer by layer, or checkpointed, as conf says."""
        if self.loading.device_map is not None:
            transformer = loader.from_pretrained(
                self.folder, subfolder="transformer", dtype=self.dtype, device_map=self.loading.device_map
            )
        elif self.loading.offload == "group":
            transformer = loader.from_pretrained(self.folder, subfolder="transformer", dtype=self.dtype)
            transformer.enable_group_offload(onload_device=self.device, offload_type="leaf_level")
        else:
            transformer = self.load_part("transformer", loader)
        if self.loading.gradient_checkpointing:
            transformer.enable_gradient_checkpointing()
        return transformer.eval()

    def read_config(self, name: str, loader: Any) -> Any:
        """The configuration of a model of the folder, with its class's defaults, without its weights."""
        with torch.device("meta"):
            return loader.from_config(loader.load_config(self.folder, subfolder=name)).config

    def load_vae(self, loader: Any) -> Any:
        """The VAE, tiled or sliced as conf says."""
        vae = self.load_part("vae", loader)
        if self.loading.tile_vae:
            vae.enable_tiling()
        if self.loading.slice_vae:
            vae.enable_slicing()
        return vae

    @cached_property
    def scheduler(self) -> Any:
        """The scheduler of the folder, as its class; a sampler takes a copy."""
        import diffusers

        name = self.index["scheduler"][1]
        return getattr(diffusers, name).from_pretrained(self.folder, subfolder="scheduler")

    def refuse_size(self, reason: str, *, frames: int, height: int, width: int) -> InvalidClipError:
        """The error of a video that does not fit."""
        return InvalidClipError(f"{frames} frames of {height}x{width} pixels do not fit {self.folder.name}: {reason}")


def to_pixels(rgb: torch.Tensor, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """(B, T, H, W, 3) uint8 -> (B, 3, T, H, W) in [-1, 1]."""
    return rgb.to(device).permute(0, 4, 1, 2, 3).to(dtype) / 127.5 - 1


def to_rgb(pixels: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_pixels`, clamped."""
    return ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1)


def per_clip(noise_level: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """Levels (B,) shaped to go with latents (B, C, t, h, w)."""
    return noise_level.to(latents.device).view(-1, 1, 1, 1, 1)
