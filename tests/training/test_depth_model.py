"""Training of the nano depth model: cut and resumed to the same bytes, published with its card."""

import shutil
from pathlib import Path

import pytest
from factories import make_clip

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.perception.config import AugmentationConfig, NanoDepthLossConfig
from phys4d_kedro.training.config import DepthModelConfig, LoopConfig
from phys4d_kedro.training.depth_model import train_depth_model
from tests.perception.tiny_depth import TINY_DEPTH


def config(folder: Path) -> DepthModelConfig:
    return DepthModelConfig(
        model=TINY_DEPTH,
        loss=NanoDepthLossConfig(
            object_weight=2.0,
            scale_invariant_weight=1.0,
            gradient_weight=1.0,
            augmentation=AugmentationConfig(jitter=0.3, grey_share=0.2, blur_share=0.2, noise=0.02),
        ),
        loop=LoopConfig(steps=12, batch_size=4, learning_rate=1e-3, ema=0.9, checkpoint_every=4, log_every=4, seed=3),
        checkpoint_dir=str(folder),
    )


@pytest.fixture
def clips(tmp_path: Path) -> ClipStore:
    write_shards([make_clip(i) for i in range(3)], str(tmp_path / "clips"), clips_per_shard=3)
    return ClipStore(str(tmp_path / "clips"))


def test_cut_training_resumes_to_the_same_weights(tmp_path: Path, clips: ClipStore) -> None:
    weights = []
    for name in ("whole", "cut"):
        checkpoints = tmp_path / name
        write, history = train_depth_model(clips, config(checkpoints))
        if name == "cut":
            (run,) = checkpoints.iterdir()
            shutil.rmtree(max(run.glob("step_*")))
            write, history = train_depth_model(clips, config(checkpoints))
        folder = tmp_path / f"{name}_model"
        folder.mkdir()
        write(folder)
        weights.append((folder / "model.safetensors").read_bytes())
        assert history["step"].tolist() == [4, 8, 12]
    assert weights[0] == weights[1]
