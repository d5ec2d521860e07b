"""Simulated clips as what stage 3 generates from and judges by."""

from collections.abc import Sequence
from functools import lru_cache

import torch

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.judges import EstimatorsJudge, Generated, HeadsJudge, WorldJudge
from phys4d_kedro.evaluation.reward import reward
from phys4d_kedro.evaluation.reward_config import RewardConfig
from phys4d_kedro.evaluation.worlds import WorldReference, prepare_reference
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.world_model.backbones.base import Condition
from phys4d_kedro.world_model.latents import LatentSet
from phys4d_kedro.world_model.world_model import WorldModel

_KEPT = 64  # clips that were read last; an iteration has fewer


class ClipEvents:
    """`Events` of a set of clips: conditions from the cache, judges the model's own heads and the estimators.

    Args:
        clips: those to generate from.
        latents: of a set that has these clips.
        model: whose latents are judged; its heads are one of the judges.
        seed: of the noise that the heads read at.
    """

    def __init__(
        self,
        clips: ClipStore,
        latents: LatentSet,
        model: WorldModel,
        config: RewardConfig,
        labels: PseudoLabelConfig,
        *,
        seed: int,
    ) -> None:
        self._clips = clips
        self._latents = latents
        self._place = {clip_id: place for place, clip_id in enumerate(latents.clip_ids)}
        self._backbone = model.backbone
        self._judges: tuple[WorldJudge, ...] = (HeadsJudge(model, seed), EstimatorsJudge(labels))
        self._config = config
        self._usable: dict[int, bool] = {}
        self._read = lru_cache(maxsize=_KEPT)(self._read_clip)

    def __len__(self) -> int:
        return len(self._clips)

    def condition(self, index: int) -> Condition:
        """See `Events.condition`."""
        return self._latents.conditions([self._place[self._clips.ids[index]]])

    def size(self, index: int) -> dict[str, int]:
        """See `Events.size`."""
        row = self._clips.manifest.iloc[index]
        return {key: int(row[key]) for key in ("frames", "height", "width")}

    def can_be_judged(self, index: int) -> bool:
        """See `Events.can_be_judged`."""
        if index not in self._usable:
            self._usable[index] = self._read(index)[1] is not None
        return self._usable[index]

    @torch.no_grad()
    def judge(
        self, indices: Sequence[int], seeds: Sequence[int], latents: torch.Tensor, condition: Condition
    ) -> list[dict[str, float]]:
        """Terms of the reward by both judges, and the total of either, by world. See `Events.judge`."""
        truths = [self._read(index) for index in indices]
        videos = self._backbone.decode_video(latents).cpu().numpy()
        clips = [
            truth.with_(clip_id=f"{truth.clip_id}.noise{seed}", rgb=video, seed=seed)
            for (truth, _), video, seed in zip(truths, videos, seeds, strict=True)
        ]
        references = [reference for _, reference in truths]
        table = reward(Generated(clips, latents, condition), references, self._judges, self._config)
        rows = table.drop(columns=["clip_id", "reference"]).to_dict("records")
        return [{str(name): float(value) for name, value in row.items()} for row in rows]

    def describe(self, index: int) -> str:
        """See `Events.describe`."""
        return self._clips.ids[index]

    def _read_clip(self, index: int) -> tuple[Clip, WorldReference | None]:
        """A clip with nothing but its RGB and camera, and what worlds from its first frame are judged by."""
        clip = self._clips[index]
        known = Clip(
            clip_id=clip.clip_id,
            rgb=clip.rgb,
            fps=clip.fps,
            source="pseudo",
            intrinsics=clip.intrinsics,
            world_from_camera=clip.world_from_camera,
            prompt=clip.prompt,
            category=clip.category,
            scene=clip.scene,
        )
        return known, prepare_reference(clip, self._config.world)
