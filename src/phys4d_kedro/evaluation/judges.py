"""Who says what depth and motion a generated clip has: the model's own heads, or estimators that see its RGB alone.

What is optimised can be hacked: a judge that the reward does not come from is always asked beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.reading import readout_seed
from phys4d_kedro.evaluation.worlds import WorldReference, WorldScore, world_distance
from phys4d_kedro.geometry.flow import warp
from phys4d_kedro.world_model.backbones.base import Condition, Prediction
from phys4d_kedro.world_model.heads import decode_depth, decode_motion
from phys4d_kedro.world_model.sampling import initial_noise

if TYPE_CHECKING:
    from phys4d_kedro.perception.config import PseudoLabelConfig
    from phys4d_kedro.world_model.world_model import WorldModel


@dataclass(frozen=True)
class Generated:
    """A batch of generated clips of one size, RGB and camera; the latents (B, C, t, h, w) they were decoded from, and
    the condition.
    """

    clips: Sequence[Clip]
    latents: torch.Tensor
    condition: Condition


class WorldJudge(Protocol):
    """`name` is how tables call it."""

    @property
    def name(self) -> str: ...

    def annotate(self, generated: Generated) -> list[Clip]:
        """The clips with depth, motion and motion_valid."""
        ...


@dataclass(frozen=True)
class HeadsJudge:
    """The model's own heads, reading the generated latents in one pass of the batch at the model's noise level.

    `seed`: of the noise they are read at; each clip's own, whatever clips are beside it.
    """

    model: "WorldModel"
    seed: int
    name: str = "heads"

    @torch.no_grad()
    def annotate(self, generated: Generated) -> list[Clip]:
        """See `WorldJudge.annotate`."""
        reading = self._read(generated)
        model = self.model
        depth = decode_depth(model.depth.destandardise(model.depth(reading)).float())
        motion = decode_motion(model.motion.destandardise(model.motion(reading)).float()[:, 1:], depth)
        _, inside = warp(depth[:, 1:, None], motion[..., :2].movedim(-1, -3))
        arrays = [part.cpu().numpy() for part in (depth, motion, inside)]
        return [
            clip.with_(
                source="pseudo",
                depth=np.ascontiguousarray(arrays[0][i]),
                motion=np.ascontiguousarray(arrays[1][i]),
                motion_valid=np.ascontiguousarray(arrays[2][i]),
            )
            for i, clip in enumerate(generated.clips)
        ]

    def _read(self, generated: Generated) -> Prediction:
        backbone = self.model.backbone
        first = generated.clips[0]
        latents, condition = generated.latents.to(backbone.device), generated.condition.to(backbone.device)
        seeds = [readout_seed(self.seed, clip.clip_id) for clip in generated.clips]
        noise = initial_noise(backbone, seeds, frames=first.frames, height=first.size[0], width=first.size[1])
        level = torch.full((len(latents),), self.model.noise_level, device=backbone.device)
        noisy = backbone.add_noise(latents, noise, level, condition)
        return backbone.predict(noisy, level, condition, features=True)


class EstimatorsJudge:
    """Off-the-shelf estimators on the decoded RGB alone: they know nothing of the model or its latents."""

    name = "estimators"

    def __init__(self, labels: "PseudoLabelConfig") -> None:
        from phys4d_kedro.perception.pseudo_labels import load_estimators

        # What a label would leave out as sky has to be answered for here.
        self._labels = labels.model_copy(update={"depth": labels.depth.model_copy(update={"farthest": None})})
        self._estimators = load_estimators(self._labels)

    def annotate(self, generated: Generated) -> list[Clip]:
        """See `WorldJudge.annotate`."""
        from phys4d_kedro.perception.pseudo_labels import label_clip

        return [label_clip(clip, self._labels, self._estimators) for clip in generated.clips]


def judge_worlds(
    judge: WorldJudge, generated: Generated, references: Sequence[WorldReference | None], *, align: str
) -> list[WorldScore | None]:
    """Each clip's distance from its own truth; None where that shows no moving object."""
    return [
        None if reference is None else world_distance(clip, reference, align=align)
        for clip, reference in zip(judge.annotate(generated), references, strict=True)
    ]
