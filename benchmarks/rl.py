"""What an iteration of stage 3 costs, and where the time goes.

    python benchmarks/rl.py

Simulated clips of conf/base/parameters_simulation.yml, weights/nano_wan with a new adapter and untrained heads of the
default size (weights do not change the time), and conf/base/parameters_rl.yml: sampling, judging and learning from one
group at a time, part by part; then whole iterations by `fit`, which are to cost the sum of the parts.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from _conf import ROOT, parameters
from _scale import markdown, number
from pretrain_step import make_clips
from reward import untrained

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.judges import EstimatorsJudge, Generated, HeadsJudge
from phys4d_kedro.evaluation.reward import appearance_drift
from phys4d_kedro.evaluation.video_metrics import motion_masks, spatiotemporal_iou
from phys4d_kedro.evaluation.worlds import WorldReference, prepare_reference, with_given_frame, world_distance
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.training.loop import fit
from phys4d_kedro.training.policy import clipped_surrogate
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.rl_events import ClipEvents
from phys4d_kedro.training.rl_task import RlTask
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Condition
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.lora import add_lora
from phys4d_kedro.world_model.rollout import Rollout, replay, rollout
from phys4d_kedro.world_model.world_model import WorldModel

ROUNDS, ITERATIONS = 4, 2
FILE = ROOT / "benchmarks" / "results" / "rl.json"
PARTS = ("sampling", "decoding", "heads judge", "estimators judge", "lifting and Chamfer", "terms of RGB", "learning")
Result = TypeVar("Result")


def main() -> None:
    """Measure, print a table, keep the figures."""
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder))
    FILE.write_text(json.dumps(result, indent=2) + "\n")
    seconds, whole = result["seconds_a_world"], result["seconds_a_world_in_all"]
    rows = [[name, number(seconds[name]), f"{seconds[name] / sum(seconds.values()):.0%}"] for name in PARTS]
    rows += [["sum of the parts", number(sum(seconds.values())), ""], ["iterations by fit", number(whole), ""]]
    print(markdown(["part", "s a world", "share"], rows))
    print(f"\n{1 / whole:.2f} worlds a second, {result['worlds']} worlds an iteration, {result['threads']} threads")


def measure(folder: Path) -> dict[str, Any]:
    """Seconds a world, part by part (medians) and in all."""
    settings, labels = configured(folder)
    clips = make_clips(folder / "clips")
    backbone = load_backbone(ROOT / "weights" / "nano_wan", LoadingConfig(device="cpu"))
    add_lora(backbone, settings.lora, seed=0)
    model = untrained(backbone)
    latents = LatentCache(folder / "latents").fill([clips], backbone)
    events = ClipEvents(clips, latents, model, settings.reward, labels, seed=0)
    task = RlTask(backbone, settings, events, events)
    seconds: dict[str, list[float]] = {name: [] for name in PARTS}
    judged = [index for index in range(len(clips)) if events.can_be_judged(index)]
    for number_ in range(ROUNDS + 1):
        for name, value in group(task, model, labels, clips, judged[number_ % len(judged)]).items():
            seconds[name] += [value] * (number_ > 0)  # the first one warms up
    started = time.perf_counter()
    fit(
        task,
        items=settings.items,
        config=settings.loop,
        workdir=folder / "run",
        fingerprint="0" * 64,
        description="iterations",
    )
    worlds = settings.conditions * settings.group
    return {
        "threads": torch.get_num_threads(),
        "worlds": worlds,
        "seconds_a_world": {name: statistics.median(values) for name, values in seconds.items()},
        "seconds_a_world_in_all": (time.perf_counter() - started) / worlds / ITERATIONS,
    }


def configured(folder: Path) -> tuple[RlConfig, PseudoLabelConfig]:
    """The project's parameters, for few iterations and without validation."""
    given = parameters("rl")
    steps = given["loop"]["steps"] // given["iterations"] * ITERATIONS
    loop = given["loop"] | {"steps": steps, "validate_every": None, "trackers": (), "seed": 0}
    changes = {"iterations": ITERATIONS, "loop": loop, "checkpoint_dir": str(folder / "checkpoints")}
    labels = parameters("pseudo_labeling")
    labels["depth"]["model"] = str(ROOT / labels["depth"]["model"])
    return RlConfig.model_validate(given | changes), PseudoLabelConfig.model_validate(labels)


def group(task: RlTask, model: WorldModel, labels: PseudoLabelConfig, clips: ClipStore, index: int) -> dict[str, float]:
    """Seconds a world of every part, for worlds of one clip that are sampled together."""
    backbone, config = task.backbone, task.config
    members = list(range(config.worlds_at_once))
    found: dict[str, float] = {}
    reference = cast(WorldReference, prepare_reference(clips[index], config.reward.world))
    condition = task.train.condition(index).rows([0] * len(members))

    def part(name: str, work: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = work()
        found[name] = (time.perf_counter() - started) / len(members)
        return result

    options: dict[str, Any] = {
        **task.train.size(index),
        "steps": config.steps,
        "guidance": config.guidance,
        "negative": config.negative_prompt,
    }
    run = part(
        "sampling",
        lambda: rollout(
            backbone,
            condition,
            **options,
            noise=config.noise,
            stochastic=range(config.trained_steps),
            starts=[0] * len(members),
            seeds=members,
        ),
    )
    rgb = part("decoding", lambda: backbone.decode_video(run.latents).cpu().numpy())
    worlds = [
        with_given_frame(clips[index].with_(rgb=video, clip_id=f"world{i}"), reference) for i, video in enumerate(rgb)
    ]
    generated = Generated(worlds, run.latents, condition)
    seen = part("heads judge", lambda: HeadsJudge(model, 0).annotate(generated))
    seen += part("estimators judge", lambda: EstimatorsJudge(labels).annotate(generated))
    align = config.reward.world.align
    part("lifting and Chamfer", lambda: [world_distance(clip, reference, align=align) for clip in seen])
    part("terms of RGB", lambda: [terms_of_rgb(clip.rgb, reference.rgb) for clip in worlds])
    part("learning", lambda: learn(task, condition, run))
    return found


def terms_of_rgb(video: Any, truth: Any) -> tuple[float, float]:
    """What the reward has beside 4D distances."""
    return spatiotemporal_iou(motion_masks(video), motion_masks(truth)), appearance_drift(video, truth)


def learn(task: RlTask, condition: Condition, run: Rollout) -> None:
    """Loss and gradient of all trained steps of worlds that were sampled together."""
    advantages = torch.linspace(-1, 1, len(run.latents))
    for step in run.steps:
        ends: dict[str, Any] = {
            name: getattr(step, name) for name in ("latents", "next_latents", "level", "next_level")
        }
        ends |= {"noise": task.config.noise, "guidance": task.config.guidance, "away": run.away}
        log_prob = replay(task.backbone, condition, **ends)[0]
        clipped_surrogate(log_prob, step.log_prob, advantages, task.config.clip_range)[0].backward()


if __name__ == "__main__":
    main()
