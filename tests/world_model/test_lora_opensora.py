"""Adapters of Open-Sora, whose pipeline is this project's own: it samples with the exported one what we do."""

from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard as HubCard
from PIL import Image

from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.config import NanoOpenSoraConfig
from phys4d_kedro.world_model.lora import lora_state, remove_lora
from phys4d_kedro.world_model.lora_files import export_merged, load_lora, save_lora
from phys4d_kedro.world_model.nano.opensora import build_nano_opensora
from phys4d_kedro.world_model.opensora.pipeline import OpenSoraPipeline
from phys4d_kedro.world_model.sampling import initial_noise, sample
from tests.world_model.families import PROMPTS, SIZE, randomise, video
from tests.world_model.lora_cases import CARD, same, with_lora

TINY = NanoOpenSoraConfig(
    latent_channels=4, vae_channels=8, layers=2, heads=2, head_dim=16, text_dim=16, prompt_tokens=12, fps=8
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opensora")
    build_nano_opensora(folder, TINY, prompts=PROMPTS, seed=0)
    pipeline = OpenSoraPipeline.from_pretrained(folder)
    randomise(pipeline.transformer)
    pipeline.save_pretrained(folder)
    return folder


def latents_of(backbone: Backbone) -> torch.Tensor:
    condition = backbone.encode_condition(PROMPTS[:1], video()[:, :1], frames=SIZE["frames"])
    return sample(backbone, condition, **SIZE, steps=3, guidance=3.0, seeds=[3])


def pipeline_latents(folder: Path, noise: torch.Tensor, lora: Path | None = None) -> torch.Tensor:
    pipeline = OpenSoraPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    if lora:
        pipeline.load_lora_weights(lora)
    return pipeline(
        PROMPTS[0],
        height=SIZE["height"],
        width=SIZE["width"],
        num_frames=SIZE["frames"],
        image=Image.fromarray(video()[0, 0].numpy()),
        num_inference_steps=3,
        guidance_scale=3.0,
        latents=noise,
        output_type="latent",
    ).frames


def test_exported_and_merged_adapters_sample_as_ours(folder: Path, tmp_path: Path) -> None:
    backbone = with_lora(folder)
    ours, noise = latents_of(backbone), initial_noise(backbone, [3], **SIZE)
    save_lora(backbone, tmp_path / "lora", card=CARD)
    export_merged(backbone, tmp_path / "merged", card=CARD)
    assert torch.allclose(pipeline_latents(folder, noise, tmp_path / "lora"), ours, atol=1e-4)
    assert torch.allclose(pipeline_latents(tmp_path / "merged", noise), ours, atol=1e-4)
    assert torch.allclose(latents_of(load_backbone(tmp_path / "merged")), ours, atol=1e-4)
    assert not torch.allclose(pipeline_latents(folder, noise), ours, atol=0.05)
    card = HubCard.load(tmp_path / "lora/README.md")
    assert "from phys4d_kedro.world_model.opensora.pipeline import OpenSoraPipeline" in card.text
    assert card.data.library_name == "phys4d_kedro"


def test_an_adapter_comes_back_bitwise_and_goes_off(folder: Path, tmp_path: Path) -> None:
    backbone = with_lora(folder)
    save_lora(backbone, tmp_path, card=CARD)
    again = load_backbone(folder)
    base = latents_of(again)
    load_lora(again, tmp_path)
    assert same(lora_state(again.transformer), lora_state(backbone.transformer))
    assert len(lora_state(again.transformer)) == 2 * 2 * 2 * len(backbone.lora_targets)  # halves, kinds, blocks
    assert torch.equal(latents_of(again), latents_of(backbone))
    remove_lora(again)
    assert torch.equal(latents_of(again), base)
