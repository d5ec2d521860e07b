"""The table of the paper, Phys4D (arXiv 2603.03485): figures of its authors, none of them measured by this project."""

from phys4d_kedro.reporting.report import Cell, Table

_COLUMNS = ("model", "parameters", "MSE ↓", "ST-IoU ↑", "S-IoU ↑", "WS-IoU ↑", "Score % ↑")
# Backbone, parameters, then MSE, ST-IoU, S-IoU, WS-IoU and score without and with Phys4D.
_ROWS = (
    ("CogVideoX", "5B", (0.013, 0.116, 0.222, 0.142, 18.8), (0.009, 0.169, 0.252, 0.157, 30.2)),
    ("WAN2.2", "5B", (0.016, 0.088, 0.150, 0.105, 16.8), (0.014, 0.107, 0.214, 0.122, 25.6)),
    ("Open-Sora V1.2", "1.1B", (0.021, 0.072, 0.135, 0.092, 14.5), (0.016, 0.098, 0.195, 0.112, 22.4)),
)
# Other models of which the paper has the score alone.
_OTHERS = (("VideoPoet", 20.3), ("Pika 1.0", 13.0), ("Sora", 10.0))
_CAPTION = (
    "The paper's own table (Phys4D, arXiv 2603.03485): Physics-IQ, image to video, 5 s, as its authors report it. "
    "Not measured here, on another benchmark and with far larger models: alike in form, not in scale."
)


def paper_table() -> Table:
    """A row a model, each backbone above the same with the paper's three stages, which are better throughout."""
    rows = []
    for name, parameters, plain, trained in _ROWS:
        rows.append([Cell(name), Cell(parameters), *(Cell(_text(value)) for value in plain)])
        cells = [Cell(_text(value), "strong") for value in trained]
        cells[-1] = Cell(cells[-1].text, "strong", f"{trained[-1] / plain[-1]:.2f} times")
        rows.append([Cell("+ Phys4D"), Cell(parameters), *cells])
    rows += [[Cell(name), *([Cell("")] * 5), Cell(_text(score))] for name, score in _OTHERS]
    return Table(_CAPTION, _COLUMNS, rows)


def _text(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"
