"""The worlds that stages generate from the same first frames, prompts and noise, to be compared."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison import STAGES
from phys4d_kedro.evaluation.evaluate import choose_examples
from phys4d_kedro.world_model.config import SamplingConfig
from phys4d_kedro.world_model.folders import component_fingerprint
from phys4d_kedro.world_model.generation import (
    decode_latents,
    generate_latents,
    generation_fingerprint,
    read_worlds,
)
from phys4d_kedro.world_model.requests import Request, requests_like
from phys4d_kedro.world_model.stage_folders import adapter_folder, seed_folders
from phys4d_kedro.world_model.world_model import WorldModel


@dataclass(frozen=True)
class Training:
    """One training of a stage: the folder of one of its seeds."""

    stage: str
    seed: int
    folder: Path

    def name(self, reference: str, sample: int) -> str:
        """The id of the world that it generates for a true clip."""
        return f"{reference}.{self.stage}.seed{self.seed}.{sample}"


def reference_of(world: str) -> str:
    """The id of the true clip that a world was generated from, by the world's own (see `Training.name`)."""
    return world.rsplit(".", 3)[0]


def list_trainings(stages: Mapping[str, Path]) -> list[Training]:
    """The trainings in the folders of stages, by name. Raises CheckpointError where a folder has none."""
    return [
        Training(stage, seed, folder) for stage, root in stages.items() for seed, folder in seed_folders(root).items()
    ]


def shown_clips(heldout: ClipStore, count: int) -> ClipStore:
    """The held-out clips that the comparison looks at."""
    return heldout.subset(choose_examples(heldout, count))


def comparison_source(
    model: WorldModel,
    trainings: Sequence[Training],
    truths: ClipStore,
    samples: Sequence[int],
    sampling: SamplingConfig,
) -> ClipSource:
    """Worlds yet to be generated, training by training: RGB, depth and motion, as `generate_worlds` makes them.

    Trainings without an adapter differ in their heads alone: they share what is sampled, and each reads it.

    Args:
        model: of any of the trainings.

    Raises:
        InvalidClipError: the model makes no clips of this size.
    """
    requests = requests_like(truths, samples)
    read_by = [f"{t.stage} {t.seed} {component_fingerprint(t.folder, ('',))}" for t in trainings]
    read_by.append(str(model.noise_level))
    batches = [requests[i : i + sampling.batch_size] for i in range(0, len(requests), sampling.batch_size)]
    units = [_Unit(group, batch) for group in _alike(trainings) for batch in batches]
    return ClipSource(
        count=len(trainings) * len(requests),
        fingerprint=generation_fingerprint(model.backbone, requests, sampling, "\n".join(read_by)),
        make=_Maker(model, units, sampling),
        description="Generating worlds",
    )


def worlds_beside(truths: ClipStore, worlds: ClipStore) -> Iterator[tuple[Clip, dict[str, Clip]]]:
    """Each true clip with the world that each stage's first training generates for it, by stage."""
    for truth in truths:
        first: dict[str, str] = {}
        for name in worlds.ids:
            for stage in STAGES:
                if name.startswith(f"{truth.clip_id}.{stage}.seed"):
                    first.setdefault(stage, name)
        yield truth, {stage: worlds.read(first[stage]) for stage in STAGES if stage in first}


@dataclass(frozen=True)
class _Unit:
    """What is sampled at once: a batch of requests, by trainings of one adapter, or of none."""

    trainings: tuple[Training, ...]
    requests: Sequence[Request]

    def __len__(self) -> int:
        return len(self.trainings) * len(self.requests)


def _alike(trainings: Sequence[Training]) -> list[tuple[Training, ...]]:
    """Trainings that sample the same: all those without an adapter, and each of the others."""
    base = tuple(training for training in trainings if not adapter_folder(training.folder))
    return [*([base] if base else []), *((training,) for training in trainings if training not in base)]


@dataclass
class _Maker:
    """Makes clip after clip, whole units of them when the first of a unit is asked for."""

    model: WorldModel
    units: Sequence[_Unit]
    sampling: SamplingConfig
    _models: dict[Training, WorldModel] = field(default_factory=dict)
    _made: tuple[int, list[Clip]] = (-1, [])

    def __call__(self, index: int) -> Clip:
        starts = [0, *accumulate(map(len, self.units))]
        number = bisect_right(starts, index) - 1
        if self._made[0] != number:
            self._made = number, self._generate(self.units[number])
        return self._made[1][index - starts[number]]

    def _generate(self, unit: _Unit) -> list[Clip]:
        if self._models.keys() != set(unit.trainings):
            self._models = {training: self.model.with_stage(training.folder) for training in unit.trainings}
        backbone = self.model.backbone
        latents, condition = generate_latents(backbone, unit.requests, self.sampling)
        clips = decode_latents(backbone, latents, unit.requests, self.sampling)
        return [
            _labelled(world, training)
            for training in unit.trainings
            for world in read_worlds(self._models[training], clips, latents, condition)
        ]


def _labelled(world: Clip, training: Training) -> Clip:
    """A world under the name of its training."""
    reference, sample = world.parameters["reference"], world.parameters["sample"]
    facts = {"stage": training.stage, "training_seed": training.seed}
    return world.with_(clip_id=training.name(reference, sample), parameters=world.parameters | facts)
