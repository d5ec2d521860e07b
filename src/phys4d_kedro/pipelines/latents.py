"""The node that fills the latent cache, for every pipeline that reads clips with a backbone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache


def cache_latents(
    backbone: Path, clips: ClipStore, quality: dict[str, Any], loading: LoadingConfig
) -> Callable[[LatentCache], Any]:
    """Encode the clips' frames and prompts once; `quality` stands for their passed validation."""
    from phys4d_kedro.world_model.backbones import load_backbone

    return lambda cache: cache.fill([clips], load_backbone(backbone, loading))
