"""The figure of SimIQ: a bar a method in every group, as high as its score."""

from typing import Any

from phys4d_kedro.reporting.simiq import simiq_scores


def rules(score: float, std: float | None = None) -> dict[str, Any]:
    return {"original": None, "verified": {"mean": score, "seed_std": std}}


def test_bars_are_the_scores_of_all_and_of_each_category() -> None:
    metrics = {
        "version": "tiny",
        "scores": {
            "still": {"verified": {"score": {"mean": 5.0, "seed_std": None}}},
            "stage1": {"verified": {"score": {"mean": 20.0, "seed_std": None}}},
            "sft": {"verified": {"score": {"mean": 25.0, "seed_std": 1.5}}},
        },
        "categories": {
            "rigid_bodies": {"still": rules(4.0), "stage1": rules(18.0), "sft": rules(30.0, 2.0)},
            "cloth": {"still": rules(6.0), "stage1": rules(22.0), "sft": rules(20.0, 1.0)},
        },
    }
    figure = simiq_scores(metrics)
    assert [bar.name for bar in figure.data] == ["first frame standing still", "video model", "+ stages 1-2"]
    assert list(figure.data[0].x) == ["all", "rigid bodies", "cloth"]
    assert list(figure.data[2].y) == [25.0, 30.0, 20.0]
    assert list(figure.data[2].error_y.array) == [1.5, 2.0, 1.0]
    assert len({bar.marker.color for bar in figure.data}) == 3
