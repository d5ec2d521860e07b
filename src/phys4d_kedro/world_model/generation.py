"""From prompts and first frames to clips: sampled latents, decoded, with depth and motion read off them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone, Condition
from phys4d_kedro.world_model.config import LoadingConfig, SamplingConfig
from phys4d_kedro.world_model.folders import component_fingerprint
from phys4d_kedro.world_model.requests import Request
from phys4d_kedro.world_model.sampling import sample
from phys4d_kedro.world_model.world_model import WorldModel

_PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")


def generate_latents(
    backbone: Backbone, requests: Sequence[Request], sampling: SamplingConfig
) -> tuple[torch.Tensor, Condition]:
    """Latents (B, C, t, h, w) of clips of one size, and what they were generated from.

    Raises:
        InvalidClipError: the requests differ in size, or the model makes no clips of it.
    """
    if len({(request.frames, *request.first_frame.shape) for request in requests}) > 1:
        raise InvalidClipError("clips of several sizes cannot be generated in one batch; set sampling.batch_size to 1")
    first = torch.stack([torch.from_numpy(request.first_frame.copy()) for request in requests])[:, None]
    height, width = first.shape[2:4]
    size = {"frames": requests[0].frames, "height": height, "width": width}
    backbone.check_size(**size)
    condition = backbone.encode_condition(
        [request.prompt for request in requests],
        first if backbone.takes_first_frame else None,
        frames=requests[0].frames,
    )
    latents = sample(
        backbone,
        condition,
        **size,
        steps=sampling.steps,
        guidance=sampling.guidance,
        negative=sampling.negative_prompt,
        seeds=[request.seed for request in requests],
    )
    return latents, condition


def generate_rgb(backbone: Backbone, requests: Sequence[Request], sampling: SamplingConfig) -> list[Clip]:
    """Clips of RGB and camera, one a request. Raises as `generate_latents` does."""
    latents, _ = generate_latents(backbone, requests, sampling)
    return decode_latents(backbone, latents, requests, sampling)


def generate_worlds(model: WorldModel, requests: Sequence[Request], sampling: SamplingConfig) -> list[Clip]:
    """4D clips, one a request: RGB decoded from the latents, depth and motion read off the same latents by the heads.

    The heads read at the noise level of the model, as they do any video: they were trained near the end of denoising.
    Raises as `generate_latents` does.
    """
    latents, condition = generate_latents(model.backbone, requests, sampling)
    return read_worlds(model, decode_latents(model.backbone, latents, requests, sampling), latents, condition)


def read_worlds(model: WorldModel, clips: Sequence[Clip], latents: torch.Tensor, condition: Condition) -> list[Clip]:
    """Clips of `decode_latents` with the depth and motion that the model reads off their latents; `generate_worlds`."""
    worlds = []
    for i, clip in enumerate(clips):
        assert clip.seed is not None
        alone = Condition(**{name: value[i : i + 1] for name, value in condition.tensors().items()})
        worlds.append(model.annotate(clip, model.read_latents(latents[i : i + 1], alone, seed=clip.seed)))
    return worlds


def rgb_source(
    backbone_dir: Path, requests: Sequence[Request], sampling: SamplingConfig, loading: LoadingConfig
) -> ClipSource:
    """Clips of RGB, yet to be generated: a batch at a time, by one process, kept shard by shard.

    Raises:
        CheckpointError: the model is missing or partial.
        InvalidClipError: the model makes no clips of this size.
    """
    backbone = load_backbone(backbone_dir, loading)
    return _source(backbone, lambda batch: generate_rgb(backbone, batch, sampling), requests, sampling, "rgb")


def world_source(
    backbone_dir: Path,
    heads_dir: Path,
    requests: Sequence[Request],
    sampling: SamplingConfig,
    *,
    noise_level: float,
    loading: LoadingConfig,
) -> ClipSource:
    """The same for 4D clips; `noise_level` is the one that the heads read at.

    Raises:
        CheckpointError: the model or its heads are missing, partial, or do not belong together.
        InvalidClipError: the model makes no clips of this size.
    """
    model = WorldModel.load(backbone_dir, heads_dir, noise_level=noise_level, loading=loading)
    read_by = f"{component_fingerprint(heads_dir, ('',))} {noise_level}"
    return _source(model.backbone, lambda batch: generate_worlds(model, batch, sampling), requests, sampling, read_by)


def _source(
    backbone: Backbone,
    generate: Callable[[Sequence[Request]], list[Clip]],
    requests: Sequence[Request],
    sampling: SamplingConfig,
    read_by: str,
) -> ClipSource:
    return ClipSource(
        count=len(requests),
        fingerprint=generation_fingerprint(backbone, requests, sampling, read_by),
        make=_Maker(generate, requests, sampling.batch_size),
        description="Generating clips",
        together=sampling.batch_size,
    )


def generation_fingerprint(
    backbone: Backbone, requests: Sequence[Request], sampling: SamplingConfig, read_by: str
) -> str:
    """Hash of all that decides what is generated; `read_by` says what reads depth and motion off it.

    Raises:
        InvalidClipError: the model makes no clips of this size.
    """
    for request in requests:
        height, width = request.first_frame.shape[:2]
        backbone.check_size(frames=request.frames, height=height, width=width)
    parts = [backbone.fingerprint(*_PARTS), str(backbone.dtype), sampling.model_dump_json(), read_by]
    return hashlib.sha256("\n".join([*parts, *map(Request.identity, requests)]).encode()).hexdigest()


@dataclass
class _Maker:
    """Makes clip after clip, whole batches of them when the first of a batch is asked for."""

    generate: Callable[[Sequence[Request]], list[Clip]]
    requests: Sequence[Request]
    batch_size: int
    _batch: dict[int, Clip] = field(default_factory=dict)

    def __call__(self, index: int) -> Clip:
        if index not in self._batch:
            start = index // self.batch_size * self.batch_size
            self._batch = dict(enumerate(self.generate(self.requests[start : start + self.batch_size]), start))
        return self._batch[index]


def decode_latents(
    backbone: Backbone, latents: torch.Tensor, requests: Sequence[Request], sampling: SamplingConfig
) -> list[Clip]:
    """What `generate_latents` made of the requests, as clips of RGB and camera."""
    return [
        Clip(
            clip_id=request.clip_id,
            rgb=np.ascontiguousarray(rgb),
            fps=request.fps,
            source="pseudo",
            intrinsics=request.intrinsics,
            world_from_camera=request.world_from_camera,
            prompt=request.prompt,
            category=request.category,
            scene=request.scene,
            seed=request.seed,
            parameters={
                "reference": request.reference,
                "sample": request.sample,
                "sampling": sampling.model_dump(),
            },
        )
        for request, rgb in zip(requests, backbone.decode_video(latents).cpu().numpy(), strict=True)
    ]
