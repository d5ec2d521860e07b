"""The world model: a backbone with a depth head and a motion head."""

from pathlib import Path

import numpy as np
import torch

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.geometry.flow import warp
from phys4d_kedro.world_model.backbones.base import Backbone, Prediction
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.heads import Head, decode_depth, decode_motion, load_head


class WorldModel:
    """Predicts depth and motion of clips.

    Args:
        noise_level: in [0, 1], at which a given video is read: a little noise is what the heads were trained on.
    """

    def __init__(self, backbone: Backbone, depth: Head, motion: Head, *, noise_level: float) -> None:
        self.backbone = backbone
        self.depth = depth
        self.motion = motion
        self.noise_level = noise_level

    @classmethod
    def load(cls, backbone_dir: str | Path, heads_dir: Path, *, noise_level: float) -> "WorldModel":
        """A backbone folder or hub id, and a folder that holds the heads `depth` and `motion`.

        Raises:
            CheckpointError: a folder is missing or partial, or the heads belong to another backbone.
        """
        backbone = WanBackbone(backbone_dir)
        return cls(backbone, *_load_heads(heads_dir, backbone), noise_level=noise_level)

    def with_heads(self, heads_dir: Path) -> "WorldModel":
        """The same backbone, held once, with other heads. Raises as `load` does."""
        return WorldModel(self.backbone, *_load_heads(heads_dir, self.backbone), noise_level=self.noise_level)

    def perceive(self, clip: Clip, *, seed: int) -> Clip:
        """The clip with predicted depth (T, H, W; metres), motion (T-1, H, W, 3) and motion_valid.

        `motion_valid` says that the point lands inside the next frame. All exact annotations are dropped; camera,
        segmentation and metadata stay.
        """
        return self.annotate(clip, self.read(clip, seed=seed))

    @torch.no_grad()
    def annotate(self, clip: Clip, reading: Prediction) -> Clip:
        """What the heads make of a reading of this clip; see `perceive`."""
        depth_values = self.depth.destandardise(self.depth(reading))
        motion_values = self.motion.destandardise(self.motion(reading))
        depth = decode_depth(depth_values)[0]
        motion = decode_motion(motion_values[:, 1:], depth[None])[0]
        _, inside = warp(depth[1:, None], motion[..., :2].movedim(-1, -3))
        return clip.with_(
            source="pseudo",
            depth=np.ascontiguousarray(depth.cpu().numpy(), dtype=np.float32),
            motion=np.ascontiguousarray(motion.cpu().numpy(), dtype=np.float32),
            motion_valid=inside.cpu().numpy(),
            depth_confidence=None,
            motion_confidence=None,
            tracks=None,
            track_instance=None,
            track_visible=None,
        )

    @torch.no_grad()
    def read(self, clip: Clip, *, seed: int, encoded: tuple[torch.Tensor, torch.Tensor] | None = None) -> Prediction:
        """One pass of the transformer over the clip at the noise level of this model, with noise of this seed.

        `encoded` saves the VAE and the text encoder where the clip's latents (1, C, t, h, w) and prompt embedding
        (1, L, text width) are known.
        """
        latents, prompts = encoded or self._encode(clip)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed)).to(latents.device)
        level = torch.full((1,), self.noise_level, device=latents.device)
        return self.backbone.predict(self.backbone.add_noise(latents, noise, level), level, prompts)

    def _encode(self, clip: Clip) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = self.backbone.token_pixels
        if clip.size[0] % pixels or clip.size[1] % pixels:
            raise InvalidClipError(
                f"clip '{clip.clip_id}' is {clip.size[0]}x{clip.size[1]} pixels; this backbone needs multiples of "
                f"{pixels}"
            )
        rgb = torch.from_numpy(clip.rgb)[None]
        return self.backbone.encode_video(rgb), self.backbone.encode_prompts([clip.prompt])


def _load_heads(folder: Path, backbone: Backbone) -> tuple[Head, Head]:
    fingerprint = backbone.fingerprint("transformer", "vae")
    return _load_head(folder / "depth", fingerprint), _load_head(folder / "motion", fingerprint)


def _load_head(folder: Path, backbone: str) -> Head:
    head = load_head(folder)
    if head.config.backbone != backbone:
        raise CheckpointError(
            f"the head in {folder} was trained on another backbone (fingerprint {head.config.backbone[:12]}, this one "
            f"is {backbone[:12]}); run kedro run --pipeline=pretrain again, or give the backbone it belongs to"
        )
    return head
