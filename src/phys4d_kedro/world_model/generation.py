"""From prompts and first frames to 4D clips: sampled latents, decoded, with depth and motion read off them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.world_model.backbones.base import Backbone, Condition
from phys4d_kedro.world_model.config import GenerationConfig, LoadingConfig, SamplingConfig
from phys4d_kedro.world_model.folders import component_fingerprint
from phys4d_kedro.world_model.requests import Request
from phys4d_kedro.world_model.sampling import sample
from phys4d_kedro.world_model.world_model import WorldModel


def generate_latents(
    backbone: Backbone, requests: Sequence[Request], *, frames: int, sampling: SamplingConfig
) -> tuple[torch.Tensor, Condition]:
    """Latents (B, C, t, h, w) of clips of one size, and what they were generated from.

    Raises:
        InvalidClipError: the model makes no clips of this size.
    """
    height, width = requests[0].first_frame.shape[:2]
    backbone.check_size(frames=frames, height=height, width=width)
    first = torch.stack([torch.from_numpy(request.first_frame) for request in requests])[:, None]
    condition = backbone.encode_condition(
        [request.prompt for request in requests], first if backbone.takes_first_frame else None, frames=frames
    )
    latents = sample(
        backbone,
        condition,
        frames=frames,
        height=height,
        width=width,
        steps=sampling.steps,
        guidance=sampling.guidance,
        negative=sampling.negative_prompt,
        seeds=[request.seed for request in requests],
    )
    return latents, condition


def generate_clips(
    model: WorldModel, requests: Sequence[Request], *, frames: int, fps: float, sampling: SamplingConfig
) -> list[Clip]:
    """4D clips, one a request: RGB decoded from the latents, depth and motion read off the same latents by the heads.

    The heads read at the noise level of the model, as they do any video: they were trained near the end of denoising.

    Raises:
        InvalidClipError: the model makes no clips of this size.
    """
    latents, condition = generate_latents(model.backbone, requests, frames=frames, sampling=sampling)
    clips = []
    for i, request in enumerate(requests):
        alone = Condition(**{name: value[i : i + 1] for name, value in condition.tensors().items()})
        reading = model.read_latents(latents[i : i + 1], alone, seed=request.seed)
        rgb = model.backbone.decode_video(latents[i : i + 1])[0]
        clips.append(model.annotate(_clip(request, rgb.cpu().numpy(), fps, sampling), reading))
    return clips


def generate_rgb(
    backbone: Backbone, requests: Sequence[Request], *, frames: int, sampling: SamplingConfig
) -> list[NDArray[np.uint8]]:
    """RGB (T, H, W, 3) alone, one a request, `sampling.batch_size` at a time."""
    videos = []
    for start in range(0, len(requests), sampling.batch_size):
        latents, _ = generate_latents(
            backbone, requests[start : start + sampling.batch_size], frames=frames, sampling=sampling
        )
        videos += [video.cpu().numpy() for video in backbone.decode_video(latents)]
    return videos


def _clip(request: Request, rgb: NDArray[np.uint8], fps: float, sampling: SamplingConfig) -> Clip:
    return Clip(
        clip_id=request.clip_id,
        rgb=np.ascontiguousarray(rgb),
        fps=fps,
        source="pseudo",
        intrinsics=request.intrinsics,
        world_from_camera=request.world_from_camera,
        prompt=request.prompt,
        category=request.category,
        scene=request.scene,
        seed=request.seed,
        parameters={"reference": request.reference, "sampling": sampling.model_dump()},
    )


def generation_source(
    backbone_dir: Path,
    heads_dir: Path,
    requests: Sequence[Request],
    *,
    frames: int,
    fps: float,
    config: GenerationConfig,
    loading: LoadingConfig,
) -> ClipSource:
    """The clips of the requests, yet to be generated: a batch at a time, by one process, kept shard by shard.

    Raises:
        CheckpointError: the model or its heads are missing, partial, or do not belong together.
        InvalidClipError: the model makes no clips of this size.
    """
    maker = _Maker(backbone_dir, heads_dir, requests, frames, fps, config, loading)
    height, width = requests[0].first_frame.shape[:2]
    maker.model.backbone.check_size(frames=frames, height=height, width=width)
    backbone = maker.model.backbone.fingerprint("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
    parts = [backbone, component_fingerprint(heads_dir, ("",)), str(frames), str(fps)]
    parts += [config.model_dump_json(exclude={"requests", "clips"}), loading.dtype, *map(Request.identity, requests)]
    return ClipSource(
        count=len(requests),
        fingerprint=hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        make=maker,
        description="Generating clips",
        together=config.sampling.batch_size,
    )


@dataclass
class _Maker:
    """Makes clip after clip, whole batches of them when the first of a batch is asked for."""

    backbone_dir: Path
    heads_dir: Path
    requests: Sequence[Request]
    frames: int
    fps: float
    config: GenerationConfig
    loading: LoadingConfig
    _batch: dict[int, Clip] = field(default_factory=dict)

    @cached_property
    def model(self) -> WorldModel:
        """Backbone and heads, loaded once."""
        return WorldModel.load(
            self.backbone_dir, self.heads_dir, noise_level=self.config.noise_level, loading=self.loading
        )

    def __call__(self, index: int) -> Clip:
        if index not in self._batch:
            size = self.config.sampling.batch_size
            start = index // size * size
            made = generate_clips(
                self.model,
                self.requests[start : start + size],
                frames=self.frames,
                fps=self.fps,
                sampling=self.config.sampling,
            )
            self._batch = dict(enumerate(made, start))
        return self._batch[index]
