"""What the suggestions share: which layers of a table have an alpha to go by, the linear map, the table that results.

A layer with nothing to go by keeps the plain value, and the column `remark` says why.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

# Columns that may be gone by, and what makes `analyze` write them.
ALPHAS = {"hill_alpha": "analyze writes it", "alpha": "analyze writes it", "farms_alpha": "analyze with farms=True"}

FEWEST_EVALS = 50  # layers with fewer eigenvalues keep the plain value in the code of TempBalance and AlphaDecay

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Alphas:
    """One alpha a row of a table, (n,), NaN where there is none to go by; remarks say why, empty elsewhere."""

    by: str
    values: Values
    remarks: tuple[str, ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        return np.isfinite(self.values)

    @property
    def all_equal(self) -> bool:
        """Whether they tell no layer from another; also where fewer than two are usable."""
        good = self.values[self.usable]
        return good.size < 2 or bool(np.ptp(good) <= 1e-12 * good.max())


def alphas_of(details: "pd.DataFrame", by: str, min_evals: int = 0) -> Alphas:
    """The alphas of a table of `analyze`. NaN: failed rows, embeddings, fewer than `min_evals` eigenvalues, alpha <= 1.

    Embeddings keep the plain value because the methods' own code takes linear and convolution layers only.
    Raises OptionError for another `by` than those of ALPHAS, or one that the table lacks.
    """
    if by not in ALPHAS:
        raise OptionError(f"by={by!r}: give one of {', '.join(ALPHAS)}")
    require_columns(details, ("longname", by), ALPHAS[by])
    values = details[by].to_numpy(np.float64, copy=True)
    remarks = [_why_not(row, float(alpha), min_evals) for row, alpha in zip(_rows(details), values, strict=True)]
    values[[bool(remark) for remark in remarks]] = np.nan
    return Alphas(by, values, tuple(remarks))


def linear_factors(alphas: Alphas, low: float, high: float) -> Values:
    """low + (high - low) (alpha - alpha_min) / (alpha_max - alpha_min), (n,); 1 without an alpha or for equal ones."""
    if alphas.all_equal:
        return np.ones(alphas.values.size)
    places = positions(alphas.values)
    return np.where(alphas.usable, low + (high - low) * places, 1.0)


def positions(values: Values) -> Values:
    """Where each value lies between the smallest (0) and the largest (1); NaN stays."""
    least, most = np.nanmin(values), np.nanmax(values)
    return np.asarray((values - least) / (most - least))


def suggestions(details: "pd.DataFrame", alphas: Alphas, name: str, values: Values, remark: str = "") -> "pd.DataFrame":
    """The table that is handed back: rows and index of details, with layer_id where it has them.

    remark: about all layers that have an alpha.
    """
    import pandas as pd

    about_all = "all alphas are equal: plain value" if alphas.all_equal else remark
    columns = {column: details[column] for column in ("layer_id", "longname", alphas.by) if column in details}
    remarks = [one or about_all for one in alphas.remarks]
    return pd.DataFrame(columns | {name: values, "remark": remarks}, index=details.index)


def check_factors(low: float, high: float) -> None:
    """Raises OptionError unless 0 <= low <= high, both finite, high above 0."""
    if not (np.isfinite(low) and np.isfinite(high) and 0.0 <= low <= high and high > 0.0):
        raise OptionError(f"low={low!r}, high={high!r}: give factors with 0 <= low <= high")


def require_columns(details: "pd.DataFrame", columns: tuple[str, ...], hint: str) -> None:
    """Raises OptionError for an empty table, or one without a column."""
    missing = [column for column in columns if column not in details]
    if missing:
        raise OptionError(f"the table has no column {missing[0]!r}; {hint}")
    if details.empty:
        raise OptionError("the table has no rows; give what analyze returns")


def _rows(details: "pd.DataFrame") -> list[dict[str, object]]:
    wanted = [column for column in ("status", "reason", "layer_type", "num_evals") if column in details]
    return [dict(zip(wanted, row, strict=True)) for row in details[wanted].itertuples(index=False)]


def _why_not(row: dict[str, object], alpha: float, min_evals: int) -> str:
    if row.get("status", "success") != "success":
        return f"failed, plain value: {row.get('reason') or 'no reason given'}"
    if str(row.get("layer_type", "")).lower().endswith("embedding"):
        return "embedding: plain value"
    n_evals = row.get("num_evals", np.inf)
    if isinstance(n_evals, int | float | np.number) and n_evals < min_evals:
        return f"{n_evals:.0f} eigenvalues, fewer than {min_evals}: plain value"
    return "" if np.isfinite(alpha) and alpha > 1.0 else "no alpha: plain value"
