"""Tiny checkpoints with the names and files of the published ones of Open-Sora."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import T5EncoderModel

from phys4d_kedro.world_model.nano.text import build_tokenizer, text_encoder_config
from phys4d_kedro.world_model.opensora.convert import convert
from tests.world_model.opensora.tiny_autoencoder import TINY, build

HIDDEN, HEADS, DEPTH, CAPTION, TOKENS = 32, 2, 2, 16, 12
CONFIG = {  # of hpcai-tech/OpenSora-STDiT-v3, at a tiny size
    "architectures": ["STDiT3"],
    "caption_channels": CAPTION,
    "class_dropout_prob": 0.1,
    "depth": DEPTH,
    "drop_path": 0.0,
    "enable_flash_attn": False,
    "enable_layernorm_kernel": False,
    "enable_sequence_parallelism": False,
    "freeze_y_embedder": True,
    "hidden_size": HIDDEN,
    "in_channels": 4,
    "input_size": [None, None, None],
    "input_sq_size": 512,
    "mlp_ratio": 4.0,
    "model_max_length": TOKENS,
    "model_type": "STDiT3",
    "num_heads": HEADS,
    "only_train_temporal": False,
    "patch_size": [1, 2, 2],
    "pred_sigma": True,
    "qk_norm": True,
    "skip_y_embedder": False,
    "torch_dtype": "float32",
    "transformers_version": "4.36.2",
}


def transformer_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published STDiT3, written out of the description."""
    c, head = HIDDEN, HIDDEN // HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "rope.freqs": (head // 2,),
        "x_embedder.proj.weight": (c, 4, 1, 2, 2),
        "x_embedder.proj.bias": (c,),
        "y_embedder.y_embedding": (TOKENS, CAPTION),
        "final_layer.scale_shift_table": (2, c),
    }
    linear = {
        "t_embedder.mlp.0": (c, 256),
        "t_embedder.mlp.2": (c, c),
        "fps_embedder.mlp.0": (c, 256),
        "fps_embedder.mlp.2": (c, c),
        "t_block.1": (6 * c, c),
        "y_embedder.y_proj.fc1": (c, CAPTION),
        "y_embedder.y_proj.fc2": (c, c),
        "final_layer.linear": (32, c),
    }
    for block in (f"{kind}_blocks.{i}" for kind in ("spatial", "temporal") for i in range(DEPTH)):
        shapes[f"{block}.scale_shift_table"] = (6, c)
        shapes[f"{block}.attn.q_norm.weight"] = shapes[f"{block}.attn.k_norm.weight"] = (head,)
        linear[f"{block}.attn.qkv"] = (3 * c, c)
        linear[f"{block}.attn.proj"] = (c, c)
        linear[f"{block}.cross_attn.q_linear"] = (c, c)
        linear[f"{block}.cross_attn.kv_linear"] = (2 * c, c)
        linear[f"{block}.cross_attn.proj"] = (c, c)
        linear[f"{block}.mlp.fc1"] = (4 * c, c)
        linear[f"{block}.mlp.fc2"] = (c, 4 * c)
    for name, shape in linear.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    return shapes


@dataclass(frozen=True)
class Published:
    """Three folders as they are downloaded."""

    transformer: Path
    vae: Path
    text_encoder: Path

    def convert(self, output: Path, **options: Any) -> Path:
        convert(self.transformer, self.vae, self.text_encoder, output, vae_sizes=TINY, **options)
        return output

    def edit(self, part: str, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
        path = getattr(self, part) / "model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)


def write_published(folder: Path) -> Published:
    """Write the three of random weights under a folder."""
    folders = Published(*(folder / name for name in ("STDiT-v3", "VAE-v1.2", "t5")))
    for made in (folders.transformer, folders.vae):
        made.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    tensors = {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in transformer_shapes().items()}
    tensors["rope.freqs"] = 10000.0 ** -(torch.arange(0, HIDDEN // HEADS, 2) / (HIDDEN // HEADS))
    save_file(tensors, folders.transformer / "model.safetensors", metadata={"format": "pt"})
    (folders.transformer / "config.json").write_text(json.dumps(CONFIG))
    vae = build()
    vae.shift.fill_(0.25)  # as of other data
    save_file(vae.state_dict(), folders.vae / "model.safetensors", metadata={"format": "pt"})
    tokenizer = build_tokenizer(["A red ball rolls left."], TOKENS)
    tokenizer.save_pretrained(folders.text_encoder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        T5EncoderModel(text_encoder_config("t5", CAPTION, len(tokenizer))).save_pretrained(folders.text_encoder)
    return folders
