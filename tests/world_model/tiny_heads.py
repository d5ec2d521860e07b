"""Linear heads for a backbone: random weights, statistics that make sense."""

from pathlib import Path

import numpy as np

from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.heads import DEPTH_CHANNELS, MOTION_CHANNELS, LinearHead


def write_heads(backbone_dir: Path, folder: Path) -> Path:
    """Write `depth` (about 3 m) and `motion` heads for the backbone to the folder."""
    backbone = load_backbone(backbone_dir)
    for name, channels, mean in (("depth", DEPTH_CHANNELS, np.log(3.0)), ("motion", MOTION_CHANNELS, 0.1)):
        LinearHead(
            feature_dim=backbone.feature_dim,
            channels=channels,
            temporal=backbone.temporal_compression,
            pixels=backbone.token_pixels,
            mean=[float(mean)] * channels,
            std=[0.01] * channels,
            backbone=backbone.fingerprint("transformer", "vae"),
        ).save_pretrained(folder / name)
    return folder
