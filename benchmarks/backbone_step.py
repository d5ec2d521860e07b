"""One training step of the published backbones at the sizes of the paper: memory and operations, counted.

    python benchmarks/backbone_step.py             predict (no GPU, no weights; minutes), keep and print the figures
    python benchmarks/backbone_step.py --table     print those that were kept
    python benchmarks/backbone_step.py --measure   run the same steps on a CUDA device, beside their prediction

A step is the forward and backward pass of one clip, of latents and embeddings that are cached, in bfloat16 by autocast
as `fit` does it. The backbone's weights are bfloat16, those of heads and LoRA float32. "heads": stage 1, DPT heads on
features of the frozen transformer. "lora": stage 2, rank 32, with the denoising loss and the heads. "full": the same
with all of the transformer trained.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from _conf import ROOT
from _scale import markdown, number
from diffusers import CogVideoXTransformer3DModel, WanTransformer3DModel

from phys4d_kedro.training.config import DptHeadConfig
from phys4d_kedro.training.footprint import imagined, measure_step
from phys4d_kedro.training.objectives import masked_smooth_l1
from phys4d_kedro.world_model.backbones.base import Condition
from phys4d_kedro.world_model.backbones.cogvideox import CogVideoXBackbone
from phys4d_kedro.world_model.backbones.opensora import OpenSoraBackbone
from phys4d_kedro.world_model.backbones.pretrained import PretrainedBackbone
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.config import LoraSettings
from phys4d_kedro.world_model.heads import DEPTH_CHANNELS, MOTION_CHANNELS, DptHead
from phys4d_kedro.world_model.lora import add_lora
from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder
from phys4d_kedro.world_model.opensora.transformer import STDiT3

FILE = ROOT / "benchmarks" / "results" / "backbone_step.json"
GPU, DENSE_BF16, SUSTAINED = "H100 SXM", 989e12, 0.4  # FLOP/s by its data sheet, and the share that is assumed
VARIANTS = [("heads", False), ("lora", False), ("lora", True), ("full", False), ("full", True)]
RANK = 32


@dataclass(frozen=True)
class Model:
    """A published transformer: its class and configuration, the shape of its text, and what a token stands for."""

    name: str
    kind: type[torch.nn.Module]
    config: dict[str, Any]
    latent_channels: int
    text: tuple[int, int]  # tokens, width
    spatial: int  # compression of the VAE
    cells: int  # of the DPT heads, along a token's edge
    family: type[PretrainedBackbone]
    first: Literal["in place", "beside"]  # of noise: where the first frame's latents go
    index: dict[str, Any] = field(default_factory=dict)
    latent_frames: Callable[[int], int] = lambda frames: (frames - 1) // 4 + 1


WAN = Model(
    name="Wan2.2-TI2V-5B",
    kind=WanTransformer3DModel,
    config={
        "in_channels": 48,
        "out_channels": 48,
        "num_layers": 30,
        "num_attention_heads": 24,
        "attention_head_dim": 128,
        "ffn_dim": 14336,
        "text_dim": 4096,
        "freq_dim": 256,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        "rope_max_seq_len": 1024,
    },
    latent_channels=48,
    text=(512, 4096),
    spatial=16,
    cells=4,
    family=WanBackbone,
    first="in place",
    index={"expand_timesteps": True},
)
COGVIDEOX = Model(
    name="CogVideoX-5b-I2V",
    kind=CogVideoXTransformer3DModel,
    config={
        "in_channels": 32,
        "out_channels": 16,
        "num_layers": 42,
        "num_attention_heads": 48,
        "attention_head_dim": 64,
        "time_embed_dim": 512,
        "text_embed_dim": 4096,
        "max_text_seq_length": 226,
        "sample_width": 90,
        "sample_height": 60,
        "sample_frames": 49,
        "use_rotary_positional_embeddings": True,
        "use_learned_positional_embeddings": True,
    },
    latent_channels=16,
    text=(226, 4096),
    spatial=8,
    cells=2,
    family=CogVideoXBackbone,
    first="beside",
)
OPENSORA = Model(
    name="Open-Sora v1.2",
    kind=STDiT3,
    config={},
    latent_channels=4,
    text=(300, 4096),
    spatial=8,
    cells=2,
    family=OpenSoraBackbone,
    first="in place",
    latent_frames=lambda frames: frames // 17 * 5 + -(-(frames % 17) // 4),
)
CASES = [
    (WAN, 49, 480, 480),
    (WAN, 121, 704, 1280),
    (COGVIDEOX, 49, 480, 720),
    (OPENSORA, 51, 480, 848),
]


def main() -> None:
    """Predict or measure, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the figures that were kept")
    parser.add_argument("--measure", action="store_true", help="run heads and lora steps on a CUDA device")
    arguments = parser.parse_args()
    if arguments.measure:
        measure()
        return
    if not arguments.table:
        assumed = {"gpu": GPU, "dense_bf16_flops_per_second": DENSE_BF16, "sustained_share": SUSTAINED}
        FILE.write_text(json.dumps({"assumed": assumed, "steps": list(predict())}, indent=2) + "\n")
    print(table(json.loads(FILE.read_text())["steps"]))


def predict() -> Iterator[dict[str, Any]]:
    """A row a step: what it is, and its footprint."""
    for model, frames, height, width in CASES:
        for trained, checkpointed in VARIANTS:
            started = time.perf_counter()
            step = blank_step(model, trained, checkpointed)
            with imagined():
                footprint = measure_step(*step.place(frames, height, width, torch.device("cpu")))
            row = {"model": model.name, "frames": frames, "height": height, "width": width, "trained": trained}
            row |= {"checkpointed": checkpointed, **asdict(footprint), "total_bytes": footprint.total_bytes}
            yield row | {"predicted_seconds": footprint.seconds(DENSE_BF16 * SUSTAINED)}
            print(f"{row['model']} {frames}x{height}x{width} {trained}: {time.perf_counter() - started:.0f} s")


def measure() -> None:
    """Time and memory of steps on the CUDA device, beside the prediction; one that does not fit is said so."""
    if not torch.cuda.is_available():
        raise SystemExit("--measure needs a CUDA device, and there is none")
    kept = json.loads(FILE.read_text())["steps"]
    print(f"{torch.cuda.get_device_name()}\nstep: seconds, GB; predicted operations, GB")
    for row in kept:
        if row["trained"] == "full":  # needs more than one device
            continue
        model, frames, height, width = next(
            case
            for case in CASES
            if (case[0].name, *case[1:]) == (row["model"], row["frames"], row["height"], row["width"])
        )
        name = f"{model.name} {frames}x{height}x{width} {row['trained']}, checkpointed {row['checkpointed']}"
        try:
            step = blank_step(model, row["trained"], row["checkpointed"])
            seconds, gigabytes = run(*step.place(frames, height, width, torch.device("cuda")))
            print(f"{name}: {seconds:.3f}, {gigabytes:.1f}; {row['flops']:.3g}, {row['total_bytes'] / 1e9:.1f}")
            print(f"  {row['flops'] / seconds / 1e12:.0f} TFLOP/s")
        except torch.cuda.OutOfMemoryError:
            print(f"{name}: does not fit; predicted {row['total_bytes'] / 1e9:.1f} GB")
        torch.cuda.empty_cache()


def run(modules: list[torch.nn.Module], loss: Callable[[], torch.Tensor]) -> tuple[float, float]:
    """Seconds of forward and backward, and the most GB, of the third of three steps with AdamW."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, fused=True)
    torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        optimiser.zero_grad()
        torch.cuda.synchronize()
        started = time.perf_counter()
        loss().backward()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        optimiser.step()
    return seconds, torch.cuda.max_memory_allocated() / 1e9


@dataclass(frozen=True)
class Step:
    """A step whose weights have no place yet: they are on the meta device."""

    model: Model
    backbone: Any
    heads: dict[str, DptHead]
    trained: str

    def place(
        self, frames: int, height: int, width: int, device: torch.device
    ) -> tuple[list[torch.nn.Module], Callable[[], torch.Tensor]]:
        """The modules with random weights on the device, and the loss of a random clip."""
        self.backbone.device = device
        allocate(self.backbone.transformer, torch.bfloat16, device)
        for head in self.heads.values():
            allocate(head, torch.float32, device)
        grid = (self.model.latent_frames(frames), height // self.model.spatial, width // self.model.spatial)
        latents = random(device, self.model.latent_channels, *grid)
        first = latents if self.model.first == "beside" else latents[:, :, :1]
        condition = Condition(random(device, *self.model.text), frames=first)
        level = torch.full((1,), 0.5, device=device)
        targets = {
            "depth": random(device, frames, height, width, DEPTH_CHANNELS),
            "motion": random(device, frames - 1, height, width, MOTION_CHANNELS),
        }

        def loss() -> torch.Tensor:
            with torch.autocast(device.type, torch.bfloat16):
                with torch.set_grad_enabled(self.trained != "heads"):
                    seen = self.backbone.predict(latents, level, condition, features=True)
                value = torch.zeros((), device=device)
                if self.trained != "heads":
                    value = value + (seen.output - latents).square().mean()
                for name, head in self.heads.items():
                    # Heads of longer Open-Sora clips put out frames too many: 1 + 4 k, where its chunks have 17 each.
                    predicted = head(seen)[:, -targets[name].shape[1] :]
                    value = value + masked_smooth_l1(predicted, targets[name], torch.ones_like(targets[name][..., 0]))
            return value

        return [self.backbone.transformer, *self.heads.values()], loss


def blank_step(model: Model, trained: str, checkpointed: bool) -> Step:
    """Backbone, LoRA and heads of a step, on the meta device."""
    with torch.device("meta"):
        transformer: Any = model.kind(**model.config)
        backbone: Any = model.family.__new__(model.family)  # without a folder: only its transformer is used
        vars(backbone).update(index=model.index, dtype=torch.bfloat16, device=torch.device("meta"))
        vars(backbone).update(transformer=transformer, transformer_config=transformer.config)
        if model is OPENSORA:
            vars(backbone).update(_sizes=OpenSoraAutoencoder())
        transformer.requires_grad_(trained == "full")
        if trained == "lora":
            add_lora(backbone, LoraSettings(rank=RANK, alpha=RANK), seed=0)
        if checkpointed:
            transformer.enable_gradient_checkpointing()
        heads = {
            name: DptHead(
                feature_dim=backbone.feature_dim,
                channels=channels,
                temporal=4,
                pixels=model.spatial * 2,
                mean=[0.0] * channels,
                std=[1.0] * channels,
                backbone="",
                **DptHeadConfig(cells=model.cells).model_dump(),
            )
            for name, channels in (("depth", DEPTH_CHANNELS), ("motion", MOTION_CHANNELS))
        }
    return Step(model, backbone, heads, trained)


def allocate(model: torch.nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Put random weights in the place of those on the meta device, float32 where loading keeps it or LoRA has it."""
    kept = {"lora_A", "lora_B", *(getattr(model, "_keep_in_fp32_modules", None) or ())}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                own = torch.float32 if kept & {*path.split("."), name} else dtype
                values = torch.empty(parameter.shape, dtype=own, device=device).normal_(std=0.02)
                module._parameters[name] = torch.nn.Parameter(values, requires_grad=parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype, device=device)


def random(device: torch.device, *shape: int) -> torch.Tensor:
    """A batch of one of noise."""
    return torch.empty(1, *shape, device=device).normal_()


def table(steps: list[dict[str, Any]]) -> str:
    """Markdown: a row a step, gigabytes of 1e9 bytes."""
    head = ["model, clip", "trained", "checkpointed", "parameters, M", "trainable, M", "weights, GB", "optimiser, GB"]
    head += ["saved, GB", "peak with optimiser, GB", "PFLOP", "s"]
    lines = []
    for row in steps:
        clip = f"{row['model']}, {row['frames']}x{row['height']}x{row['width']}"
        counts = [f"{row[key] / 1e6:,.1f}" for key in ("parameters", "trainable")]
        sizes = ("weight_bytes", "optimiser_bytes", "saved_bytes", "total_bytes")
        memory = [number(row[key] / 1e9) for key in sizes]
        last = [number(row["flops"] / 1e15), number(row["predicted_seconds"])]
        lines.append([clip, row["trained"], "yes" if row["checkpointed"] else "no", *counts, *memory, *last])
    return markdown(head, lines)


if __name__ == "__main__":
    main()
