"""Both judges: a batch as its clips alone, and estimators that see nothing but RGB."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_clip

from phys4d_kedro.evaluation.judges import EstimatorsJudge, Generated, HeadsJudge, judge_worlds
from phys4d_kedro.evaluation.reading import readout_seed
from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.evaluation.worlds import prepare_reference
from phys4d_kedro.perception.config import ConsistencyConfig, DepthConfig, FlowConfig, PseudoLabelConfig
from phys4d_kedro.world_model.backbones.base import Condition
from phys4d_kedro.world_model.world_model import WorldModel
from tests.world_model.conftest import tiny_backbone
from tests.world_model.tiny_heads import write_heads

__all__ = ["tiny_backbone"]

DEPTH_MODEL = Path(__file__).parents[2] / "weights" / "nano_depth_anything"


@pytest.fixture(scope="module")
def model(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> WorldModel:
    heads = write_heads(tiny_backbone, tmp_path_factory.mktemp("heads"))
    return WorldModel.load(tiny_backbone, heads, noise_level=0.3)


@pytest.fixture(scope="module")
def generated(model: WorldModel) -> Generated:
    clips = [make_clip(i) for i in range(3)]
    rgb = torch.from_numpy(np.stack([clip.rgb for clip in clips]))
    first = rgb[:, :1] if model.backbone.takes_first_frame else None
    condition = model.backbone.encode_condition([clip.prompt for clip in clips], first, frames=5)
    return Generated(clips, model.backbone.encode_video(rgb), condition)


@pytest.fixture(scope="module")
def estimators() -> EstimatorsJudge:
    return EstimatorsJudge(
        PseudoLabelConfig(
            flow=FlowConfig(),
            depth=DepthConfig(model=str(DEPTH_MODEL), farthest=0.5),
            consistency=ConsistencyConfig(alignment="none", prior=0.0, smoothing_passes=0),
        )
    )


def alone(generated: Generated, index: int) -> Generated:
    tensors = generated.condition.tensors()
    condition = Condition(**{name: value[index : index + 1] for name, value in tensors.items()})
    return Generated([generated.clips[index]], generated.latents[index : index + 1], condition)


def test_heads_judge_a_batch_as_the_model_annotates_each_clip(model: WorldModel, generated: Generated) -> None:
    judged = HeadsJudge(model, seed=4).annotate(generated)
    for index, (clip, got) in enumerate(zip(generated.clips, judged, strict=True)):
        single = alone(generated, index)
        reading = model.read_latents(single.latents, single.condition, seed=readout_seed(4, clip.clip_id))
        expected = model.annotate(clip, reading)
        np.testing.assert_allclose(got.depth, expected.depth, rtol=1e-4)
        np.testing.assert_allclose(got.motion, expected.motion, atol=1e-4)
        assert (got.motion_valid == expected.motion_valid).mean() > 0.99
        assert (got.rgb == clip.rgb).all()


def test_heads_read_latents_and_estimators_rgb(
    model: WorldModel, generated: Generated, estimators: EstimatorsJudge
) -> None:
    heads = HeadsJudge(model, seed=4)
    other_latents = Generated(generated.clips, generated.latents.flip(0), generated.condition)
    negatives = [clip.with_(rgb=255 - clip.rgb[:, :, ::-1].copy()) for clip in generated.clips]
    other_rgb = Generated(negatives, generated.latents, generated.condition)

    def changed(judge: HeadsJudge | EstimatorsJudge, batch: Generated) -> bool:
        before, after = judge.annotate(generated), judge.annotate(batch)
        return any(not np.array_equal(a.depth, b.depth) for a, b in zip(before, after, strict=True))

    assert changed(heads, other_latents)
    assert not changed(heads, other_rgb)
    assert not changed(estimators, other_latents)
    assert changed(estimators, other_rgb)


def test_estimators_answer_for_what_a_label_leaves_out_as_sky(
    generated: Generated, estimators: EstimatorsJudge
) -> None:
    for clip in estimators.annotate(generated):
        assert clip.depth is not None
        assert np.isfinite(clip.depth).all()
        assert (clip.depth > 0.5).any()  # farthest, beyond which a label is infinite


def test_each_clip_is_compared_with_its_own_truth(model: WorldModel, generated: Generated) -> None:
    references = [None, *(prepare_reference(clip, WorldConfig()) for clip in generated.clips[1:])]
    scores = judge_worlds(HeadsJudge(model, seed=0), generated, references, align="first_frame")
    assert scores[0] is None
    for score, reference in zip(scores[1:], references[1:], strict=True):
        assert score is not None
        assert reference is not None
        assert score.scale == reference.scale
        assert np.isfinite(score.chamfer_4d)
