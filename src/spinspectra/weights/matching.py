"""Which tensor of one checkpoint is which of another: by full name, or by full name below one common prefix."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spinspectra.errors import WeightsError
from spinspectra.text import shown


@dataclass(frozen=True, slots=True)
class NameMatch:
    """How the names of a checkpoint become those of its base: one prefix is taken off, or one is put before."""

    taken_off: str = ""
    put_before: str = ""

    def base_name(self, name: str) -> str | None:
        """The name in the base; None for a name outside the prefix that all matched names carry."""
        if not name.startswith(self.taken_off):
            return None
        return self.put_before + name[len(self.taken_off) :]


def match_names(names: Sequence[str], base_names: Sequence[str], where: str) -> NameMatch | None:
    """The one way in which names fit those of the base; None if there is none.

    Equal names are a match and settle it. Only where no name is in both may one side carry a prefix more, `model.` or
    `base_model.model.` or `bert.`, the same for all tensors that match; of several prefixes the one that fits the most
    names. Raises WeightsError, naming `where`, if two prefixes fit equally many.
    """
    held, base_held = set(names), set(base_names)
    if held & base_held:
        return NameMatch()
    fits: Counter[NameMatch] = Counter()
    for name in names:
        fits.update(NameMatch(taken_off=prefix) for prefix, rest in _splits(name) if rest in base_held)
    for name in base_names:
        fits.update(NameMatch(put_before=prefix) for prefix, rest in _splits(name) if rest in held)
    ranked = fits.most_common(2)
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        one, two = (shown(match.taken_off or match.put_before) for match, _count in ranked)
        raise WeightsError(f"{where}: names fit as well under '{one}' as under '{two}'; rename the tensors of one")
    return ranked[0][0] if ranked else None


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Every way to cut a name after a dot."""
    cut = name.find(".") + 1
    while cut:
        yield name[:cut], name[cut:]
        cut = name.find(".", cut) + 1
