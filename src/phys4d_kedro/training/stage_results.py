"""What stages 2 and 3 leave behind alike: curves of all seeds, and the cards of their adapters."""

from collections.abc import Mapping

import pandas as pd

from phys4d_kedro.training.loop import FitResult
from phys4d_kedro.world_model.model_card import Licence, ModelCard


def join_curves(fits: Mapping[int, FitResult], stage: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Loss curves and validations of trainings by seed, each as one table with columns stage and seed."""
    histories = [fit.history.assign(stage=stage, seed=seed) for seed, fit in fits.items()]
    validations = [fit.validations.assign(stage=stage, seed=seed) for seed, fit in fits.items()]
    return pd.concat(histories, ignore_index=True), pd.concat(validations, ignore_index=True)


def adapter_card(fit: FitResult, *, stage: str, seed: int, data: str, base: str, licence: Licence | None) -> ModelCard:
    """The model card of an adapter; its figures are those of the last validation."""
    last = fit.validations.iloc[-1:].to_dict("records")
    return ModelCard(
        title=f"Phys4D {stage} adapter, seed {seed}",
        base=base,
        base_licence=licence,
        data=data,
        seeds=(seed,),
        metrics=tuple({str(key): float(value) for key, value in row.items()} for row in last),
        command=f"kedro run --pipeline={stage}",
    )
