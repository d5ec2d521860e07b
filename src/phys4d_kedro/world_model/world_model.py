"""The world model: a backbone with a depth head and a motion head."""

from pathlib import Path

import numpy as np
import torch

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.geometry.flow import warp
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone, Condition, Prediction
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.heads import Head, decode_depth, decode_motion, load_head
from phys4d_kedro.world_model.lora_files import switch_lora
from phys4d_kedro.world_model.stage_folders import adapter_folder


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
    def load(
        cls,
        backbone_dir: str | Path,
        stage_dir: Path,
        *,
        noise_level: float,
        loading: LoadingConfig | None = None,
    ) -> "WorldModel":
        """A backbone folder or hub id, and the folder of one seed of a stage (see `stage_folders`).

        Raises:
            CheckpointError: a folder is missing or partial, or the heads or the adapter belong to another backbone.
        """
        backbone = load_backbone(backbone_dir, loading)
        heads = _load_heads(stage_dir, backbone)
        switch_lora(backbone, adapter_folder(stage_dir))
        return cls(backbone, *heads, noise_level=noise_level)

    def with_stage(self, stage_dir: Path) -> "WorldModel":
        """The same backbone with the heads and the adapter of another stage, or of another seed.

        The backbone is held once: where the adapter changes, this model is not to be used any more. Raises as `load`
        does; this model is as it was then.
        """
        heads = _load_heads(stage_dir, self.backbone)
        switch_lora(self.backbone, adapter_folder(stage_dir))
        return WorldModel(self.backbone, *heads, noise_level=self.noise_level)

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
    def read(self, clip: Clip, *, seed: int, encoded: tuple[torch.Tensor, Condition] | None = None) -> Prediction:
        """One pass of the transformer over the clip at the noise level of this model, with noise of this seed.

        `encoded` saves the VAE and the text encoder where the clip's latents (1, C, t, h, w) and condition are known.
        """
        latents, condition = encoded or self._encode(clip)
        return self.read_latents(latents, condition, seed=seed)

    @torch.no_grad()
    def read_latents(self, latents: torch.Tensor, condition: Condition, *, seed: int) -> Prediction:
        """The same for latents (1, C, t, h, w) that are at hand."""
        device = self.backbone.device
        latents, condition = latents.to(device), condition.to(device)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed)).to(device)
        level = torch.full((1,), self.noise_level, device=device)
        noisy = self.backbone.add_noise(latents, noise, level, condition)
        return self.backbone.predict(noisy, level, condition, features=True)

    def _encode(self, clip: Clip) -> tuple[torch.Tensor, Condition]:
        height, width = clip.size
        self.backbone.check_size(frames=clip.frames, height=height, width=width)
        rgb = torch.from_numpy(clip.rgb)[None]
        first = rgb[:, :1] if self.backbone.takes_first_frame else None
        condition = self.backbone.encode_condition([clip.prompt], first, frames=clip.frames)
        return self.backbone.encode_video(rgb), condition


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
