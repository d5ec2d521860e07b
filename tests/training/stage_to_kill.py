"""A training stage run to its end, and again with ten kills on the way: `python -m tests.training.stage_to_kill`.

Processes are forks of this one, which has imported everything and computed nothing, so that each starts at once.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.training import config, rl, sft, stages
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.sft_config import SftConfig
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache

KILLS = 10
LOADING = LoadingConfig(device="cpu")
LOOP = config.LoopConfig(
    steps=12,
    batch_size=2,
    learning_rate=0.002,
    warmup_steps=2,
    ema=0.9,
    checkpoint_every=4,
    log_every=3,
    seed=1,
    trackers=(),
)
WITH_VALIDATION = LOOP.model_copy(update={"validate_every": 4})


def main(stage: str, inputs: Path, folder: Path) -> None:
    """Leave `folder`/{undisturbed,killed}/model; and in kills.json the seconds after which it was killed each time."""
    torch.set_num_threads(1)
    started = time.monotonic()
    finish(stage, inputs, folder / "undisturbed")
    duration = time.monotonic() - started
    rng = np.random.default_rng(0)
    kills: list[float] = []
    while len(kills) < KILLS:
        delay = rng.uniform(0, duration)
        if killed_after(delay, lambda: run(stage, inputs, folder / "killed")):
            kills.append(delay)
        else:  # it was done: another one takes the other kills
            if content_of(folder / "killed" / "model") != content_of(folder / "undisturbed" / "model"):
                raise AssertionError(f"the model differs after {len(kills)} kills")
            shutil.rmtree(folder / "killed")
    finish(stage, inputs, folder / "killed")
    (folder / "kills.json").write_text(json.dumps(kills))


def finish(stage: str, inputs: Path, folder: Path) -> None:
    """Run a stage to its end."""
    if killed_after(float("inf"), lambda: run(stage, inputs, folder)):
        raise AssertionError("nobody kills this one")


def killed_after(seconds: float, work: Callable[[], None]) -> bool:
    """Do the work in another process and kill it after a while; whether it had to be. Raises if it failed."""
    deadline = time.monotonic() + seconds
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # nothing may go on as the parent
            sys.stderr.write(repr(error))
            os._exit(1)
        os._exit(0)
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            if status:
                raise AssertionError(f"the stage failed: {status}")
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def content_of(folder: Path) -> dict[str, bytes]:
    """Files by path, and tensors of those that hold weights: the order of a header's entries means nothing."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name in [name for name in files if name.endswith(".safetensors")]:
        files |= {f"{name}/{key}": value.numpy().tobytes() for key, value in load(files.pop(name)).items()}
    return files


def run(stage: str, inputs: Path, folder: Path) -> None:
    """One stage as its node runs it, on `inputs`/{clips,backbone,heads,sft,labels.json}.

    The model lies in `folder`/model, its curves beside it; a model that is there is of an earlier run that was cut.
    """
    writer, curves = STAGES[stage](inputs, folder, ClipStore(str(inputs / "clips")), inputs / "backbone")
    shutil.rmtree(folder / "model", ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    writer(folder / "model")
    for number, curve in enumerate(curves):
        curve.to_csv(folder / "model" / f"curve_{number}.csv", index=False)


Trained = tuple[stages.Writer, list[pd.DataFrame]]


def autoencoder(_inputs: Path, folder: Path, clips: ClipStore, backbone: Path) -> Trained:
    settings = config.AutoencoderTrainingConfig(crop=16, saliency_weight=2, kl_weight=1e-5, loop=LOOP)
    writer, history = stages.train_autoencoder(backbone, settings, [clips], checkpoints=folder / "checkpoints")
    return writer, [history]


def transformer(_inputs: Path, folder: Path, clips: ClipStore, backbone: Path) -> Trained:
    settings = config.DenoiserTrainingConfig(noise_shift=3, prompt_dropout=0.1, loop=LOOP)
    cache = cached(folder, clips, backbone)
    writer, history = stages.train_transformer(backbone, settings, [clips], cache, checkpoints=folder / "checkpoints")
    return writer, [history]


def pretrain(_inputs: Path, folder: Path, clips: ClipStore, backbone: Path) -> Trained:
    settings = config.PretrainConfig(
        repeats=2,
        head="conv",
        conv_head={"hidden": 16, "width": 8, "blocks": 1},
        dpt_head={},
        noise_shift=0.5,
        depth_weight=1,
        motion_weight=1,
        label_memory_gb=0.1,
        loop=LOOP,
        checkpoint_dir=str(folder / "checkpoints"),
    )
    writer, history = stages.pretrain_heads(backbone, settings, clips, cached(folder, clips, backbone))
    return writer, [history]


def finetune(inputs: Path, folder: Path, clips: ClipStore, backbone: Path) -> Trained:
    settings = SftConfig(
        repeats=1,
        lora={"rank": 2, "alpha": 2},
        denoising_weight=1,
        depth_weight=1,
        motion_weight=1,
        warp_weight=0.1,
        photometric_weight=0,
        moving_weight=1,
        noise_shift=3,
        geometry_share=0.5,
        geometry_shift=0.1,
        geometry_power=1,
        prompt_dropout=0.1,
        label_memory_gb=0.1,
        loop=WITH_VALIDATION,
        checkpoint_dir=str(folder / "checkpoints"),
        base_model="nano_wan",
    )
    writer, *curves = sft.train_sft(
        backbone,
        inputs / "heads",
        settings,
        clips=clips,
        validation=clips,
        cache=cached(folder, clips, backbone),
        loading=LOADING,
        stage="sft",
    )
    return writer, curves


def reinforce(inputs: Path, folder: Path, clips: ClipStore, backbone: Path) -> Trained:
    settings = RlConfig(
        repeats=1,
        lora={"rank": 2, "alpha": 2},
        iterations=3,
        conditions=2,
        group=2,
        worlds_at_once=2,
        steps=3,
        trained_steps=2,
        noise={"kind": "sde", "eta": 0.7},
        guidance=1.0,
        reward={"judge": "estimators"},
        advantage="value",
        value={"width": 4, "weight": 0.5, "gae_lambda": 0.95},
        clip_range=0.01,
        kl_weight=0.1,
        passes=2,
        noise_level=0.1,
        validation={"clips": 2, "samples": 1, "sampling": {"steps": 2, "guidance": 1.0, "batch_size": 2}},
        loop=WITH_VALIDATION.model_copy(update={"micro_batch_size": 1}),
        checkpoint_dir=str(folder / "checkpoints"),
        base_model="nano_wan",
    )
    writer, *curves = rl.train_rl(
        backbone,
        inputs / "sft",
        settings,
        clips=clips,
        validation=clips,
        cache=cached(folder, clips, backbone),
        labels=PseudoLabelConfig.model_validate_json((inputs / "labels.json").read_text()),
        loading=LOADING,
    )
    return writer, curves


def cached(folder: Path, clips: ClipStore, backbone: Path) -> LatentCache:
    """The latents, filled by the process that may be killed."""
    cache = LatentCache(folder / "latents")
    cache.fill([clips], WanBackbone(backbone))
    return cache


STAGES: dict[str, Callable[[Path, Path, ClipStore, Path], Trained]] = {
    "autoencoder": autoencoder,
    "transformer": transformer,
    "pretrain": pretrain,
    "sft": finetune,
    "rl": reinforce,
}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
