"""Stage 2: what its losses teach, and whom; that it resumes exactly; and the control beside it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.training import sft
from phys4d_kedro.training.denoiser import DenoiserTask
from phys4d_kedro.training.heads import LabelReader, new_heads
from phys4d_kedro.training.objectives import geometry_weight, sample_mixed_noise_levels, sample_noise_levels
from phys4d_kedro.training.sft_config import SftConfig
from phys4d_kedro.training.sft_task import LabelledLatents, SftTask
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import write_with_component
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.lora import add_lora
from phys4d_kedro.world_model.world_model import WorldModel
from tests.factories import make_clip
from tests.world_model.families import randomise

LOADING = LoadingConfig(device="cpu")
LOOP = {
    "steps": 4,
    "batch_size": 2,
    "learning_rate": 0.005,
    "checkpoint_every": 2,
    "ema": 0.5,
    "trackers": (),
    "seed": 0,
}
GEOMETRY = ("depth", "motion", "warp")


@dataclass(frozen=True)
class Scene:
    """Folders that stage 2 reads."""

    backbone: Path
    heads: Path
    cache: LatentCache
    train: ClipStore
    validation: ClipStore


@pytest.fixture(scope="module")
def scene(calibrated_backbone: Path, clips: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A backbone whose output depends on its insides, as a trained one's does; untrained heads of two seeds."""
    folder = tmp_path_factory.mktemp("sft")
    transformer = WanBackbone(calibrated_backbone).transformer
    randomise(transformer.proj_out)
    write_with_component(calibrated_backbone, "transformer", transformer, folder / "backbone")
    backbone = WanBackbone(folder / "backbone")
    for seed in (0, 1):
        for name, head in new_heads(backbone, LabelReader(clips, 10**9), "linear", seed=seed).items():
            head.save_pretrained(folder / "heads" / f"seed_{seed}" / name)
    write_shards([make_clip(20 + i) for i in range(3)], str(folder / "validation"), clips_per_shard=4)
    validation = ClipStore(str(folder / "validation"))
    cache = LatentCache(folder / "latents")
    for each in (clips, validation):
        cache.fill([each], backbone)
    return Scene(folder / "backbone", folder / "heads", cache, clips, validation)


def config(checkpoints: Path, *, loop: dict[str, Any] | None = None, **changes: Any) -> SftConfig:
    settings = {
        "repeats": 1,
        "lora": {"rank": 4, "alpha": 4},
        "denoising_weight": 1,
        "depth_weight": 0.5,
        "motion_weight": 0.5,
        "warp_weight": 0.1,
        "photometric_weight": 0,
        "moving_weight": 1,
        "noise_shift": 3,
        "geometry_share": 0.5,
        "geometry_shift": 0.1,
        "geometry_power": 1,
        "prompt_dropout": 0.1,
        "label_memory_gb": 0.1,
        "checkpoint_dir": str(checkpoints),
        "base_model": "nano_wan",
    }
    return SftConfig(**{**settings, **changes}, loop={**LOOP, **(loop or {})})


def task(scene: Scene, settings: SftConfig, *, start: bool = False) -> SftTask:
    """At the start, or with an adapter whose B is not zero, so that A has a gradient."""
    model = WorldModel.load(scene.backbone, scene.heads / "seed_0", noise_level=0.1, loading=LOADING)
    add_lora(model.backbone, settings.lora, seed=0)
    made = around(model, scene, settings)
    if not start:
        randomise(made.modules["lora"])
    return made


def around(model: WorldModel, scene: Scene, settings: SftConfig) -> SftTask:
    sets = [
        LabelledLatents(scene.cache.open([clips], model.backbone), LabelReader(clips, 10**9))
        for clips in (scene.train, scene.validation)
    ]
    return SftTask(model.backbone, {"depth": model.depth, "motion": model.motion}, settings, *sets)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def losses(made: SftTask, settings: SftConfig | None = None) -> dict[str, torch.Tensor]:
    made.config = settings or made.config
    return made._losses(made.train, [0, 1, 2, 3], seeded(), prompt_dropout=0, with_geometry=True)


def trained(scene: Scene, settings: SftConfig, *, stage: str = "sft") -> tuple[Any, Any, Any]:
    return sft.train_sft(
        scene.backbone,
        scene.heads,
        settings,
        clips=scene.train,
        validation=scene.validation,
        cache=scene.cache,
        loading=LOADING,
        stage=stage,
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def content_of(folder: Path) -> dict[str, bytes]:
    """Files, and the tensors of those that hold weights: the order of a header's entries means nothing."""
    files = files_of(folder)
    for name in [name for name in files if name.endswith(".safetensors")]:
        tensors = load(files.pop(name))
        files |= {f"{name}/{key}": value.numpy().tobytes() for key, value in tensors.items()}
    return files


class TestGradients:
    @pytest.mark.parametrize("name", ["denoising", *GEOMETRY, "photometric"])
    def test_of_each_loss_reach_the_adapter_its_heads_and_nothing_else(
        self, scene: Scene, tmp_path: Path, name: str
    ) -> None:
        made = task(scene, config(tmp_path, photometric_weight=1))
        losses(made)[name].backward()
        heads = {"denoising": set(), "depth": {"depth"}, "warp": {"depth", "motion"}}.get(name, {"motion"})
        for part, module in made.modules.items():
            reached = {key for key, value in module.named_parameters() if value.grad is not None and value.grad.any()}
            assert bool(reached) == (part == "lora" or part in heads), part
        base = {id(p) for p in made.backbone.transformer.parameters()} - {
            id(p) for p in made.modules["lora"].parameters()
        }
        assert all(p.grad is None for p in made.backbone.transformer.parameters() if id(p) in base)
        assert all(p.grad is None for p in made.backbone.vae.parameters())

    def test_are_the_same_where_activations_are_computed_again(self, scene: Scene, tmp_path: Path) -> None:
        plain, checkpointed = (task(scene, config(tmp_path)) for _ in range(2))
        checkpointed.backbone.transformer.enable_gradient_checkpointing()
        for made in (plain, checkpointed):
            made.loss([0, 1], seeded())[0].backward()
        for name, module in plain.modules.items():
            others = dict(checkpointed.modules[name].named_parameters())
            for key, value in module.named_parameters():
                assert torch.allclose(value.grad, others[key].grad, rtol=1e-4, atol=1e-6), (name, key)

    def test_the_loss_is_the_weighted_sum_of_its_figures(self, scene: Scene, tmp_path: Path) -> None:
        made = task(scene, config(tmp_path))
        loss, figures = made.loss([0, 1, 2], seeded())
        weights = {"denoising_loss": 1, "depth_loss": 0.5, "motion_loss": 0.5, "warp_loss": 0.1}
        assert figures.keys() == weights.keys()
        assert float(loss.detach()) == pytest.approx(sum(weights[key] * value for key, value in figures.items()))
        assert min(figures.values()) > 0

    def test_labels_of_hidden_pixels_change_nothing(self, scene: Scene, tmp_path: Path) -> None:
        made, other = (task(scene, config(tmp_path)) for _ in range(2))
        for index in range(4):
            labels = other.train.labels.read(index)
            hidden = labels.motion_weight == 0
            assert hidden.any()
            labels.motion[hidden] = 1e3
        assert all(torch.equal(a, b) for a, b in zip(losses(made).values(), losses(other).values(), strict=True))

    def test_losses_are_float32_under_autocast(self, scene: Scene, tmp_path: Path) -> None:
        made = task(scene, config(tmp_path))
        seen: list[torch.dtype] = []
        for head in made.heads.values():
            head.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
        with torch.autocast("cpu", torch.bfloat16):
            mixed = losses(made)
            total, figures = made.loss([0, 1], seeded())
        assert seen == [torch.float32] * 4
        assert total.dtype == torch.float32
        parts = [made.config.weights[name] * figures[f"{name}_loss"] for name in mixed]
        assert float(total.detach()) == pytest.approx(sum(parts), rel=1e-6)
        exact = losses(made)
        for name, loss in mixed.items():
            assert loss.dtype == torch.float32
            assert not torch.equal(loss, exact[name])  # the transformer was in bfloat16
            assert float(loss.detach()) == pytest.approx(float(exact[name].detach()), rel=0.1)


class TestNoise:
    def test_geometry_counts_less_the_noisier_and_not_at_all_in_noise(self) -> None:
        weights = geometry_weight(torch.linspace(0, 1, 11), 2.0)
        assert float(weights[0]) == 1
        assert float(weights[-1]) == 0
        assert (weights.diff() < 0).all()
        assert torch.equal(geometry_weight(torch.tensor([0.3]), 0.0), torch.ones(1))

    def test_4d_losses_vanish_at_pure_noise(self, scene: Scene, tmp_path: Path) -> None:
        made = task(scene, config(tmp_path))
        clear = losses(made, config(tmp_path, geometry_share=1, geometry_shift=0.01))
        noise = losses(made, config(tmp_path, geometry_share=0, noise_shift=1e5))
        for name in GEOMETRY:
            assert float(noise[name].detach()) < 1e-3 * float(clear[name].detach())
        assert float(noise["denoising"].detach()) > 0.1

    def test_the_share_of_low_levels_is_kept_and_both_kinds_are_spread(self) -> None:
        for batch in (1, 4, 7):
            draws = [
                sample_mixed_noise_levels(batch, 1e6, share=0.3, share_shift=1.0, generator=seeded(seed))
                for seed in range(400)
            ]
            counts = torch.stack([(levels < 0.999).sum() for levels in draws]).float()
            assert set(counts.tolist()) <= {float(int(0.3 * batch)), float(int(0.3 * batch) + 1)}
            assert float(counts.mean()) == pytest.approx(0.3 * batch, abs=0.1)
        low = torch.cat(draws)
        low = low[low < 0.999].sort().values  # at shift 1 uniform
        assert float((low - torch.linspace(0, 1, len(low))).abs().max()) < 0.05

    def test_without_a_share_levels_are_those_of_the_denoiser(self) -> None:
        mixed = sample_mixed_noise_levels(5, 3.0, share=0.0, share_shift=0.1, generator=seeded())
        assert torch.equal(mixed, sample_noise_levels(5, 3.0, seeded()))


class TestControl:
    def test_its_loss_is_the_denoisers(self, scene: Scene, tmp_path: Path) -> None:
        settings = config(tmp_path, geometry_share=0).appearance_only()
        made = task(scene, settings)
        assert set(made.modules) == {"lora"}
        loss, figures = made.loss([0, 1, 2], seeded())
        denoiser = DenoiserTask(made.backbone, made.train.latents, noise_shift=3, prompt_dropout=0.1)
        assert torch.equal(loss, denoiser.loss([0, 1, 2], seeded())[0])
        assert figures == {"denoising_loss": float(loss.detach())}
        loss.backward()
        assert all(p.grad is None for head in made.heads.values() for p in head.parameters())

    def test_it_sees_the_noise_that_stage_2_sees(self, scene: Scene, tmp_path: Path) -> None:
        both = [task(scene, settings) for settings in (config(tmp_path), config(tmp_path).appearance_only())]
        figures = [made.loss([0, 1, 2], seeded())[1]["denoising_loss"] for made in both]
        assert figures[0] == pytest.approx(figures[1], rel=1e-5)

    def test_nothing_but_4d_weights_differs(self, tmp_path: Path) -> None:
        settings = config(tmp_path, photometric_weight=0.2)
        control = settings.appearance_only()
        differing = {name for name in SftConfig.model_fields if getattr(settings, name) != getattr(control, name)}
        assert differing == {"depth_weight", "motion_weight", "warp_weight", "photometric_weight"}
        assert settings.trains_heads
        assert not control.trains_heads

    def test_its_heads_are_those_of_stage_1_and_are_validated(self, scene: Scene, tmp_path: Path) -> None:
        settings = config(tmp_path / "run", loop={"validate_every": 2}).appearance_only()
        writer, history, validations = trained(scene, settings, stage="appearance_control")
        writer(tmp_path)
        for name in ("depth", "motion"):
            assert files_of(tmp_path / "seed_0" / name) == files_of(scene.heads / "seed_0" / name)
        assert "depth_loss" not in history
        assert (history["stage"] == "appearance_control").all()
        for name in GEOMETRY:
            assert (validations[f"{name}_loss"] > 0).all()
        assert validations["validation_loss"].tolist() == validations["denoising_loss"].tolist()


def test_it_lowers_what_it_is_trained_on(scene: Scene, tmp_path: Path) -> None:
    loop = {"steps": 120, "batch_size": 4, "learning_rate": 0.02, "validate_every": 120, "ema": 0.8}
    settings = config(tmp_path, loop=loop, geometry_shift=0.02, prompt_dropout=0)
    on_train = replace(scene, validation=scene.train)
    before = task(on_train, settings, start=True).validate()
    after = trained(on_train, settings)[2].iloc[-1]
    for name in ("validation", "denoising", "depth", "motion"):
        assert after[f"{name}_loss"] < 0.9 * before[f"{name}_loss"], (name, before, after)


def test_the_warp_loss_makes_heads_consistent(scene: Scene, tmp_path: Path) -> None:
    loop = {"steps": 40, "batch_size": 4, "learning_rate": 0.02, "validate_every": 40, "ema": 0.8}
    loose, tight = (
        trained(scene, config(tmp_path, loop=loop, geometry_shift=0.02, warp_weight=weight))[2].iloc[-1]
        for weight in (0.0, 10.0)
    )
    assert tight["warp_loss"] < 0.8 * loose["warp_loss"]


def test_a_cut_training_ends_in_the_same_bytes(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(name: str) -> dict[str, bytes]:
        settings = config(tmp_path / name, repeats=2, loop={"validate_every": 2})
        writer, history, validations = trained(scene, settings)
        (tmp_path / f"{name}_model").mkdir()
        writer(tmp_path / f"{name}_model")
        history.to_csv(tmp_path / f"{name}_model" / "history.csv")
        validations.to_csv(tmp_path / f"{name}_model" / "validations.csv")
        return content_of(tmp_path / f"{name}_model")

    whole = run("whole")
    original: Callable[..., Any] = SftTask.loss
    calls = 0

    def cut(self: SftTask, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (4, 7):  # in the first seed, after its checkpoint of step 2; then in the second one
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(SftTask, "loss", cut)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run("cut")
    assert run("cut") == whole
    seeds = [
        {key.removeprefix(f"seed_{n}/"): value for key, value in whole.items() if f"seed_{n}/" in key} for n in (0, 1)
    ]
    assert seeds[0].keys() == seeds[1].keys()
    weights = [key for key in seeds[0] if key.endswith("weight")]
    assert weights
    assert all(seeds[0][key] != seeds[1][key] for key in weights)


def test_a_stage_folder_gives_back_what_was_validated(scene: Scene, tmp_path: Path) -> None:
    settings = config(tmp_path / "run", loop={"validate_every": 4})
    writer, history, validations = trained(scene, settings)
    writer(tmp_path)
    folder = tmp_path / "seed_0"
    assert str(scene.heads) not in "".join(path.read_text() for path in folder.rglob("config.json"))
    assert "kedro run --pipeline=sft" in (folder / "lora" / "README.md").read_text()
    model = WorldModel.load(scene.backbone, folder, noise_level=0.1, loading=LOADING)
    again = around(model, scene, settings).validate()
    for name, value in again.items():
        assert value == pytest.approx(validations[name].iloc[-1], rel=1e-5)
    before = WorldModel.load(scene.backbone, scene.heads / "seed_0", noise_level=0.1, loading=LOADING)
    clip = scene.validation[0]
    assert not (model.perceive(clip, seed=0).depth == before.perceive(clip, seed=0).depth).all()
    assert set(history["seed"]) == set(validations["seed"]) == {0}


def test_a_seed_without_heads_is_named(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"seeds 0, 1, not of 2.*pretrain\.repeats"):
        trained(scene, config(tmp_path, repeats=3))
    assert not list(tmp_path.iterdir())  # before any work


def test_other_initial_heads_are_another_training(scene: Scene, tmp_path: Path) -> None:
    """So that a stage that was trained anew is never joined to checkpoints of the old one."""
    trained(scene, config(tmp_path, repeats=2, loop={"steps": 1}))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_base_of_unknown_licence_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="base_licence"):
        config(tmp_path, base_model="someone/model")
    config(tmp_path, base_model="someone/model", base_licence={"id": "mit"})
