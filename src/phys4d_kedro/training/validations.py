"""What a table of validations says: which was the best, and whether it is worth going on."""

import math

from phys4d_kedro.errors import ConfigurationError

Row = dict[str, float]


def validation_row(step: int, figures: Row, monitored: str) -> Row:
    """A row of the table. Raises ConfigurationError if the figure that is watched is not there."""
    if monitored not in figures:
        raise ConfigurationError(
            f"validation gave {sorted(figures)}, but '{monitored}' is watched: set the task's `monitored`"
        )
    return {"step": step, **{key: float(value) for key, value in figures.items()}}


def best_step(validations: list[Row], monitored: str) -> int | None:
    """Step of the lowest finite value, the first of equals."""
    finite = [row for row in validations if math.isfinite(row[monitored])]
    return int(min(finite, key=lambda row: row[monitored])["step"]) if finite else None


def out_of_patience(validations: list[Row], monitored: str, patience: int | None) -> str | None:
    """Why to stop, if the last `patience` validations were no better than one before them."""
    best = best_step(validations, monitored)
    since = sum(row["step"] > (best or 0) for row in validations)
    if patience is None or since < patience:
        return None
    if best is None:
        return f"{monitored} was not finite in {since} validations"
    value = next(row[monitored] for row in validations if row["step"] == best)
    return f"{monitored} was no better than {value:.6g}, of step {best}, in {since} validations"
