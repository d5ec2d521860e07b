"""How much of stage 3's gradient is signal: why an iteration needs many groups of worlds.

    python benchmarks/rl_signal.py                     # after kedro run --env=full: models, clips, latents of a run
    python benchmarks/rl_signal.py --model <stage>/seed_0 --backbone <folder> --clips <clips>

Worlds are rolled out in groups, each from one first frame and one noise; a group's gradient is the mean of its
advantages times the gradients of its log-probabilities, of the adapter's B matrices (those of A are 0 at first). What
the groups' gradients have in common is what helps with clips that are not among them. `share` is the mean product of
two groups' gradients by the mean square of one, with a standard error by the jackknife over groups: 1 if all were
equal, 0 if they are noise. Of n groups, the squared cosine of their mean and the true gradient is about
n share / (1 + n share).
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _conf import ROOT, parameters
from _scale import markdown
from tqdm import tqdm

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.training.policy import group_advantages
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.rl_events import ClipEvents
from phys4d_kedro.training.rl_task import seed_of
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.lora import add_lora, merge_lora
from phys4d_kedro.world_model.rollout import replay, rollout
from phys4d_kedro.world_model.world_model import WorldModel

TERMS = ("reward", "independent", "chamfer_4d_heads", "chamfer_4d_estimators", "motion_iou", "appearance")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default=str(ROOT / "data/06_models/backbone"))
    parser.add_argument("--model", type=Path, default=ROOT / "data/06_models/sft/seed_0")
    parser.add_argument("--clips", default=str(ROOT / "data/02_intermediate/simulated_clips_train"))
    parser.add_argument("--groups", type=int, default=24)
    options = parser.parse_args()
    config = RlConfig.model_validate(parameters("rl"))
    model = WorldModel.load(options.backbone, options.model, noise_level=config.noise_level)
    clips = ClipStore(options.clips)
    order = np.random.default_rng(config.loop.seed).permutation(len(clips))
    with tempfile.TemporaryDirectory() as folder:
        chosen = clips.subset([clips.ids[index] for index in order[: 2 * options.groups]])  # in some, nothing moves
        latents = LatentCache(Path(folder)).fill([chosen], model.backbone)
        labels = PseudoLabelConfig.model_validate(parameters("pseudo_labeling"))
        events = ClipEvents(chosen, latents, model, config.reward, labels, seed=0)
        merge_lora(model.backbone)
        add_lora(model.backbone, config.lora, seed=0)
        judged = [index for index in range(len(chosen)) if events.can_be_judged(index)][: options.groups]
        worlds = [rolled_out(events, index, model, config) for index in tqdm(judged, unit="group")]
    gradients = torch.stack([one for one, _ in worlds])  # groups, worlds, steps, parameters
    terms = {term: signal(gradients, torch.tensor([figures[term] for _, figures in worlds])) for term in TERMS}
    result = {"worlds_a_group": config.group, "steps": config.steps, "terms": terms}
    (ROOT / "benchmarks/results/rl_signal.json").write_text(json.dumps(result, indent=2) + "\n")
    head = [
        "advantages of",
        "spread in a group",
        *(f"share, step {step}" for step in range(config.trained_steps)),
        "all",
    ]
    lines = [
        [term, f"{row['spread']:.3f}", *(f"{share:.4f} ± {error:.4f}" for share, error in row["shares"])]
        for term, row in terms.items()
    ]
    print(f"{len(judged)} groups of {config.group}\n\n{markdown(head, lines)}")


def rolled_out(
    events: ClipEvents, index: int, model: WorldModel, config: RlConfig
) -> tuple[torch.Tensor, dict[str, list[float]]]:
    """A group: gradients (M, S, parameters) of its worlds' log-probabilities, float16, and their figures."""
    backbone = model.backbone
    weights = [weight for name, weight in backbone.transformer.named_parameters() if "lora_B" in name]
    seeds = [seed_of(events, index, 0, member) for member in range(config.group)]
    condition = events.condition(index).rows([0] * config.group)
    sampling: dict[str, Any] = {"noise": config.noise, "guidance": 1.0}
    run = rollout(
        backbone,
        condition,
        **(sampling | events.size(index)),
        steps=config.steps,
        stochastic=range(config.trained_steps),
        starts=[seed_of(events, index, 0)] * config.group,
        seeds=seeds,
    )
    rows = events.judge([index] * config.group, seeds, run.latents, condition)
    gradients = []
    for member in range(config.group):
        own = slice(member, member + 1)
        for step in run.steps:
            taken: dict[str, Any] = {
                key: getattr(step, key)[own] for key in ("latents", "next_latents", "level", "next_level")
            }
            log_prob = replay(backbone, condition.rows([member]), **taken, **sampling, away=None)[0]
            gradients.append(torch.cat([part.flatten() for part in torch.autograd.grad(log_prob.sum(), weights)]))
    # Log-probabilities are means over latents: as sums, so that half precision holds their gradients.
    stacked = (torch.stack(gradients) * run.latents[0].numel()).half().unflatten(0, (config.group, -1))
    return stacked, {term: [row[term] for row in rows] for term in TERMS}


def signal(gradients: torch.Tensor, rewards: torch.Tensor) -> dict[str, Any]:
    """Spread of rewards (G, M) within groups; share and its standard error of each step, and of their sum."""
    advantages = group_advantages(rewards).advantages
    shares = []
    for step in [*range(gradients.shape[2]), None]:
        means = torch.stack(
            [
                (weights[:, None] * (own[:, step] if step is not None else own.float().sum(1)).float()).mean(0)
                for weights, own in zip(advantages, gradients, strict=True)
            ]
        )
        products = (means @ means.T).double().numpy()
        everyone = np.arange(len(products))
        left_out = [share(products, np.delete(everyone, one)) for one in everyone]
        error = np.sqrt((len(products) - 1) * np.var(left_out))
        shares.append((share(products, everyone), float(error)))
    return {"spread": float(rewards.std(1, correction=0).mean()), "shares": shares}


def share(products: np.ndarray, groups: np.ndarray) -> float:
    """Mean product of two of these groups' gradients, by the mean square of one."""
    chosen = products[np.ix_(groups, groups)]
    squares, count = np.trace(chosen), len(groups)
    return float((chosen.sum() - squares) / (count - 1) / squares)


if __name__ == "__main__":
    main()
