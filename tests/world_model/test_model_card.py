"""Model cards: the hub's own reader finds in them what was put in."""

import re
from pathlib import Path
from typing import Any

import pytest
from diffusers import CogVideoXPipeline, WanImageToVideoPipeline
from huggingface_hub import ModelCard as HubCard
from pydantic import ValidationError

from phys4d_kedro.world_model.model_card import Licence, ModelCard, known_licence, write_model_card

FACTS: dict[str, Any] = {
    "title": "Balls: that roll",
    "base": "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    "data": "120 clips of this project's simulation.",
    "seeds": (7, 11),
    "metrics": (
        {"model": "base | plain", "AbsRel": 0.123456, "clips": 30},
        {"model": "LoRA", "AbsRel": 0.1, "clips": 30},
    ),
    "command": "kedro run --pipeline=finetune --params=seed=7",
}


def written(folder: Path, *, kind: str = "adapter", video: bool = True, pipeline: Any = None, **facts: Any) -> HubCard:
    write_model_card(
        folder,
        ModelCard(**{**FACTS, **facts}),
        kind=kind,
        method="A LoRA adapter of rank 4, alpha 8",
        pipeline=pipeline or WanImageToVideoPipeline,
        image_to_video=video,
    )
    return HubCard.load(folder / "README.md")


def test_the_front_matter_of_an_adapter(tmp_path: Path) -> None:
    assert written(tmp_path).data.to_dict() == {
        "license": "apache-2.0",
        "base_model": "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        "base_model_relation": "adapter",
        "library_name": "diffusers",
        "pipeline_tag": "image-to-video",
        "tags": ["phys4d-kedro", "world-model", "lora"],
    }


def test_the_front_matter_of_merged_weights_under_another_licence(tmp_path: Path) -> None:
    card = written(tmp_path, kind="finetune", video=False, base="THUDM/CogVideoX-5b", pipeline=CogVideoXPipeline)
    data = card.data.to_dict()
    assert (data["license"], data["license_name"]) == ("other", "cogvideox-license")
    assert data["license_link"].startswith("https://")
    assert data["license_link"] in card.text
    assert (data["base_model_relation"], data["pipeline_tag"]) == ("finetune", "text-to-video")
    assert "lora" not in data["tags"]


def test_the_text_has_every_fact(tmp_path: Path) -> None:
    text = written(tmp_path).text
    for fact in (FACTS["title"], FACTS["data"], FACTS["command"], "7, 11", "rank 4, alpha 8", FACTS["base"]):
        assert fact in text
    rows = [re.split(r" ?(?<!\\)\| ?", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert rows == [
        ["model", "AbsRel", "clips"],
        ["---", "---", "---"],
        [r"base \| plain", "0.1235", "30"],
        ["LoRA", "0.1", "30"],
    ]
    assert "None were measured." in written(tmp_path, metrics=()).text


@pytest.mark.parametrize("kind", ["adapter", "finetune"])
def test_the_code_of_the_card_is_python_that_loads_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    class Loaded:
        def load_lora_weights(self, folder: str) -> None:
            calls.append(("lora", folder))

    def load(source: str) -> Loaded:
        calls.append(("base", source))
        return Loaded()

    monkeypatch.setattr(WanImageToVideoPipeline, "from_pretrained", load)
    code = re.search(r"```python\n(.*?)```", written(tmp_path, kind=kind).text, re.DOTALL)
    exec(code[1])
    assert calls == ([("base", FACTS["base"]), ("lora", ".")] if kind == "adapter" else [("base", ".")])


def test_a_local_base_is_named_in_the_text_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub refuses a base_model that it does not know the form of."""
    (tmp_path / "weights/nano_wan").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for base in ("nano_wan", "weights/nano_wan"):
        card = written(tmp_path, base=base)
        assert "base_model" not in card.data.to_dict()
        assert f"`{base}`" in card.text


@pytest.mark.parametrize(
    ("base", "licence"),
    [
        ("Wan-AI/Wan2.1-I2V-14B-480P-Diffusers", "apache-2.0"),
        ("THUDM/CogVideoX-2b", "apache-2.0"),
        ("zai-org/CogVideoX-5b-I2V", "other"),
        ("THUDM/CogVideoX-5b", "other"),
        ("hpcai-tech/OpenSora-STDiT-v3", "apache-2.0"),
        ("weights/nano_cogvideox", "apache-2.0"),
        ("someone/wan-ai", None),
        ("THUDM/CogVideoX1.5-5B", None),
        ("data/06_models/backbone", None),
    ],
)
def test_licences_of_bases(base: str, licence: str | None) -> None:
    known = known_licence(base)
    assert (known and known.id) == licence


def test_a_card_with_no_licence_or_a_ragged_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="licence of 'someone/model' is not known: give base_licence"):
        ModelCard(**{**FACTS, "base": "someone/model"})
    given = written(tmp_path, base="someone/model", base_licence=Licence(id="mit"))
    assert given.data.license == "mit"
    with pytest.raises(ValidationError, match="needs a name and a link"):
        Licence(id="other")
    with pytest.raises(ValidationError, match="same keys"):
        ModelCard(**{**FACTS, "metrics": ({"a": 1}, {"b": 1})})
