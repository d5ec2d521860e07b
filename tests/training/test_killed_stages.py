"""Every training stage, killed at a random point by the operating system and run again, ends in the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phys4d_kedro.clips.store import ClipStore

pytestmark = pytest.mark.slow

# Runs one stage as its node does: {stage} on {clips} from {start}, leaving checkpoints and the model in {folder}.
SCRIPT = """
import sys
from pathlib import Path
import torch
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training import config, stages
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.backbones.wan import WanBackbone

torch.set_num_threads(1)
stage, clips, start, folder = sys.argv[1], ClipStore(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
loop = config.LoopConfig(steps=24, batch_size=2, learning_rate=0.002, warmup_steps=2, ema=0.9, checkpoint_every=4,
                         log_every=3, seed=1)
cache = LatentCache(folder / "latents")
if stage == "autoencoder":
    settings = config.AutoencoderTrainingConfig(crop=16, saliency_weight=2, kl_weight=1e-5, loop=loop)
    writer, history = stages.train_autoencoder(start, settings, [clips], checkpoints=folder / "checkpoints")
elif stage == "transformer":
    cache.fill([clips], WanBackbone(start))
    settings = config.DenoiserTrainingConfig(noise_shift=3, prompt_dropout=0.1, loop=loop)
    writer, history = stages.train_transformer(start, settings, [clips], cache, checkpoints=folder / "checkpoints")
else:
    cache.fill([clips], WanBackbone(start))
    settings = config.PretrainConfig(repeats=2, head="conv", conv_head={"hidden": 16, "width": 8, "blocks": 1},
                                     dpt_head={},
                                     noise_shift=0.5, depth_weight=1, motion_weight=1, label_memory_gb=0.1,
                                     loop=loop, checkpoint_dir=str(folder / "checkpoints"))
    writer, history = stages.pretrain_heads(start, settings, clips, cache)
(folder / "model").mkdir()
writer(folder / "model")
history.to_csv(folder / "model" / "history.csv", index=False)
"""


def command(stage: str, clips: ClipStore, start: Path, folder: Path) -> list[str]:
    return [sys.executable, "-c", SCRIPT, stage, clips.path, str(start), str(folder)]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("stage", ["autoencoder", "transformer", "pretrain"])
def test_killed_stage_ends_as_an_undisturbed_one(
    stage: str, clips: ClipStore, tiny_backbone: Path, tmp_path: Path
) -> None:
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    subprocess.run(
        command(stage, clips, tiny_backbone, tmp_path / "undisturbed"), check=True, capture_output=True, timeout=300
    )

    killed = command(stage, clips, tiny_backbone, tmp_path / "killed")
    with subprocess.Popen(killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while not list((tmp_path / "killed" / "checkpoints").rglob("step_00000008")):
            assert process.poll() is None, "the stage ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "killed" / "model").exists()
    subprocess.run(killed, check=True, capture_output=True, timeout=300)
    assert files_of(tmp_path / "killed" / "model") == files_of(tmp_path / "undisturbed" / "model")
    assert files_of(tmp_path / "killed" / "checkpoints") == files_of(tmp_path / "undisturbed" / "checkpoints")
