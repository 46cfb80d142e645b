"""`spinspectra demo`: the story of the embedded checkpoints, spins then spectra: tables and what follows from them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from spinspectra.cli.heat import plus_minus
from spinspectra.cli.output import bar_of, console, rounded_up, signed, table
from spinspectra.demo import Checkpoint
from spinspectra.demo.heat import HeatChapter, Heated, tell_heat
from spinspectra.demo.spectra import MEASURES, SpectralChapter, layers_in_order, ranks, tell_spectra, way
from spinspectra.demo.story import N_SHUFFLES, SWEEPS, Chapter, tell
from spinspectra.spectra.columns import OVER_TRAINED_BELOW

READABLE = 116  # characters a line of running text, at most

INTRODUCTION = """\
One small transformer learned to add modulo 59 from 40 % of all pairs. Here it is at four moments. Nothing below uses \
data: first each network is turned into a layered Ising model (its weights are the couplings), and the lowest energy E \
is sought by annealing. The null model is the same network with its weights shuffled: same values, no structure."""

HEAT_INTRODUCTION = """\
How many of the 2^N states have which energy: the density of states, sampled at many temperatures at once. Its range, \
the width, is twice |E_min| by symmetry. The specific heat C tells at which temperature the network orders: T_c is \
where C is largest, in the unit of the weights. Errors are one standard error."""

SPECTRA_INTRODUCTION = """\
The same four networks by their spectra, the eigenvalues of each weight matrix. alpha: exponent of the tail. \
stable_rank: how many directions carry the norm. mp_softrank: the part of the largest eigenvalue that noise reaches. \
rand_distance: from the same weights permuted, 0 for noise. Q_computed: log10 of SETOL's quality. In order: whether \
the means follow the test accuracy, up or down all the way, and how many layers do so each on its own."""


def run() -> None:
    out = console()
    with _spinner("compiling kernels (first run only)", "annealing") as show:
        chapters = tell(show)
    out.print()
    _print_text(out, INTRODUCTION)
    out.print(_energies(chapters))
    _print_points(out, "What it shows", _reading(chapters))
    with _spinner("sampling", "density of states") as show:
        heats = tell_heat(show)
    _print_text(out, HEAT_INTRODUCTION)
    out.print(_heats(heats))
    _print_points(out, "What the heat shows", _heat_reading(heats))
    with _spinner("reading spectra", "spectra") as show:
        spectra = tell_spectra(show)
    _print_text(out, SPECTRA_INTRODUCTION)
    out.print(_spectra(spectra))
    out.print(_alphas(spectra))
    _print_points(out, "What the spectra show", _spectral_reading(spectra))
    _print_text(
        out,
        "Next: spinspectra ground MODEL --shuffled, spinspectra dos MODEL --shuffled and spinspectra analyze MODEL, "
        "for your own checkpoint.",
    )


@contextmanager
def _spinner(first: str, doing: str) -> Iterator[Callable[[str], None]]:
    """On standard error, if that is a terminal; gives a function to call with the name of what is worked on."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with bar_of(*columns) as spinner:
        task = spinner.add_task(first, total=None)
        yield lambda name: spinner.update(task, description=f"{doing}: {name}")


def _print_text(out: Console, text: str) -> None:
    out.print(Padding(Text(text), (0, 0, 1, 2)), width=min(out.width, READABLE))


def _print_points(out: Console, title: str, points: Sequence[str]) -> None:
    """Each point after a dash, wrapped to the terminal and indented."""
    listed = Table.grid(padding=(0, 1, 0, 0))
    for point in points:
        listed.add_row(Text("-"), Text(point))
    out.print(Text(f"  {title}", style="bold"))
    out.print(Padding(listed, (0, 0, 1, 2)), width=min(out.width, READABLE))


def _percent(fraction: float, digits: int = 0) -> str:
    return f"{100 * fraction:.{digits}f} %"


def _add_known(made: Table, known: Sequence[Checkpoint]) -> None:
    """What is known of the checkpoints from training, as the first rows."""
    made.add_row("steps trained", *(f"{one.step:,}" for one in known))
    made.add_row("train accuracy", *(_percent(one.train_accuracy, 1) for one in known))
    made.add_row("test accuracy", *(_percent(one.test_accuracy, 1) for one in known), end_section=True)


def _energies(chapters: list[Chapter]) -> Table:
    first, known = chapters[0], [chapter.checkpoint for chapter in chapters]
    title = f"Lowest energy per spin: N = {first.n_spins:,} spins, B = {first.n_bonds:,} bonds"
    made = table(title, "", *(one.name for one in known))
    _add_known(made, known)
    made.add_row(f"E/N found ({SWEEPS:,} sweeps)", *(signed(one.energy, 3) for one in chapters))
    made.add_row("no state below", *(signed(-rounded_up(-one.proved, 3), 3) for one in chapters))
    made.add_row(f"shuffled (mean of {N_SHUFFLES})", *(signed(one.shuffled, 3) for one in chapters))
    made.add_row("  spread", *(f"\N{PLUS-MINUS SIGN}{one.shuffled_spread:.3f}" for one in chapters))
    made.add_row("ratio", *(f"{one.ratio:.2f}" for one in chapters))
    made.add_row("width W/N", *(f"{2 * abs(one.energy):.3f}" for one in chapters))
    return made


def _reading(chapters: list[Chapter]) -> list[str]:
    """What the figures say, and where they are silent; every number in it comes from the table."""
    initial, memorising, grokked, degraded = chapters
    unseen = {c.checkpoint.name: _percent(c.checkpoint.test_accuracy) for c in chapters}
    energy = {c.checkpoint.name: signed(c.energy, 2) for c in chapters}
    low, high = min(c.ratio for c in chapters[1:]), max(c.ratio for c in chapters[1:])
    return [
        f"Untrained weights reach as low as their shuffled twins (ratio {initial.ratio:.2f}): no structure yet. All "
        f"three trained networks go far lower than theirs ({low:.2f} to {high:.2f} times): training leaves order that "
        "shuffling destroys, and it can be seen without a single input.",
        f"Memorising ({unseen['memorising']} right on unseen pairs) and grokked ({unseen['grokked']}) differ in ratio, "
        f"{memorising.ratio:.2f} and {grokked.ratio:.2f}, but take care: the ratio also grows with mere training time, "
        f"and E/N itself, {energy['memorising']} and {energy['grokked']}, hardly tells them apart.",
        f"The degraded network (fine-tuned on wrong labels, {unseen['degraded']} right) has the lowest E/N of all, "
        f"{energy['degraded']}. A low energy is a sign of structure, not of good structure; only its ratio, "
        f"{degraded.ratio:.2f}, fell.",
        "How far the search can be off is proved, not guessed: no state lies below the row that says so.",
    ]


def _heats(chapters: list[HeatChapter]) -> Table:
    known = [chapter.checkpoint for chapter in chapters]
    made = table("Density of states, trained and shuffled", "", *(one.name for one in known))
    _add_known(made, known)
    pairs = [(chapter.trained, chapter.shuffled) for chapter in chapters]
    n = pairs[0][0].density.n_spins
    for word, at in (("trained", 0), ("shuffled", 1)):
        made.add_row(f"width/N, {word}", *(f"{pair[at].density.width / n:.2f}" for pair in pairs))
    for word, at in (("trained", 0), ("shuffled", 1)):
        made.add_row(f"T_c, {word}", *(_peak(pair[at]) for pair in pairs))
    made.add_row("T_c, ratio", *(f"{_ratio(chapter):.2f}" for chapter in chapters))
    return made


def _peak(result: Heated) -> str:
    return plus_minus(result.heat.attrs["T_c"], result.heat.attrs["T_c_err"], figures=1)


def _ratio(chapter: HeatChapter) -> float:
    """T_c of the trained network over that of its shuffled twin."""
    return float(chapter.trained.heat.attrs["T_c"] / chapter.shuffled.heat.attrs["T_c"])


def _heat_reading(chapters: list[HeatChapter]) -> list[str]:
    """What the table says, with its numbers."""
    initial, memorising, grokked, degraded = chapters
    trained = [_ratio(chapter) for chapter in chapters[1:]]
    return [
        f"Untrained, the network orders where its shuffled twin does (T_c {_ratio(initial):.2f} times the twin's); the "
        f"three trained ones at {min(trained):.2f} to {max(trained):.2f} times their twins' temperature: a higher T_c "
        "is the mark of training that the wider range of energies is, seen another way.",
        f"Against its twin, grokked has the highest T_c ({_ratio(grokked):.2f}; memorising {_ratio(memorising):.2f}, "
        f"degraded {_ratio(degraded):.2f})."
        if _ratio(grokked) == max(trained)
        else f"T_c does not rank them: memorising {_ratio(memorising):.2f}, grokked {_ratio(grokked):.2f}, degraded "
        f"{_ratio(degraded):.2f} times their twins'.",
        f"Take care: T_c itself carries the unit of the weights, and follows their size. {_peak(memorising.trained)}, "
        f"{_peak(grokked.trained)} and {_peak(degraded.trained)} say little without the twins; and one shuffle is one "
        "draw.",
    ]


def _spectra(chapters: list[SpectralChapter]) -> Table:
    known, n_layers = [chapter.checkpoint for chapter in chapters], len(chapters[0].details)
    made = table(f"Spectra, means over {n_layers} layers", "", *(one.name for one in known), "in order")
    _add_known(made, known)
    for column, digits in MEASURES.items():
        means = (signed(chapter.mean(column), digits) for chapter in chapters)
        found = "yes" if ranks(chapters, column) else "no"
        made.add_row(column, *means, f"{found}, {layers_in_order(chapters, column)}/{n_layers}")
    made.add_section()
    for word in ("under-trained", "heavy-tailed", "ideal", "near 2", "over-trained"):
        made.add_row(f"SETOL: {word}", *(str(chapter.called(word)) for chapter in chapters))
    made.add_row("correlation traps", *(_traps(chapter) for chapter in chapters))
    return made


def _traps(chapter: SpectralChapter) -> str:
    """In all layers together; a mean over permutations, so it may be broken."""
    return f"{chapter.details['num_traps'].sum():g}"


def _alphas(chapters: list[SpectralChapter]) -> Table:
    first = chapters[0].details
    made = table("alpha, layer by layer", "layer", "shape", *(chapter.checkpoint.name for chapter in chapters))
    names = (name.removeprefix("model.decoder.").removeprefix("layers.0.") for name in first["longname"])
    alphas = zip(*(chapter.details["alpha"] for chapter in chapters), strict=True)
    for name, n, m, row in zip(names, first["N"], first["M"], alphas, strict=True):
        made.add_row(name, f"{n} \N{MULTIPLICATION SIGN} {m}", *(f"{alpha:.2f}" for alpha in row))
    return made


def _spectral_reading(chapters: list[SpectralChapter]) -> list[str]:
    """What tells the four apart and what does not; every number and every list in it comes from the tables."""
    initial = chapters[0]
    follow = [column for column in MEASURES if ranks(chapters, column)]
    return [
        f"Untrained weights stand out: noise reaches as far as the largest eigenvalue (mp_softrank "
        f"{initial.mean('mp_softrank'):.2f}), and permuting them changes nothing (rand_distance "
        f"{initial.mean('rand_distance'):.2f}). The means of {_listed(follow)} even put all four in the order of "
        "their test accuracy.",
        *_distances(chapters, follow),
        *_misleading(chapters),
        "Four checkpoints of one small task prove nothing in general. The first three are in the order of their "
        "training time too, and weight decay favours low rank by itself: compare only networks trained alike.",
    ]


def _distances(chapters: list[SpectralChapter], follow: list[str]) -> list[str]:
    """How far apart the order puts the two in the middle, where the test accuracy says what is due."""
    _, memorising, grokked, degraded = chapters
    true = way(chapters, [chapter.checkpoint.test_accuracy for chapter in chapters])
    ways = {column: way(chapters, [chapter.mean(column) for chapter in chapters]) for column in follow}
    best = min(follow, key=lambda column: abs(ways[column][1] - true[1]) + abs(ways[column][3] - true[3]))
    gap = degraded.mean("alpha") - grokked.mean("alpha")
    steps = degraded.checkpoint.step - grokked.checkpoint.step
    return [
        f"An order is not a measure. Of the way from initial to grokked, test accuracy has memorising at "
        f"{_percent(true[1])} and degraded at {_percent(true[3])}; alpha has them at {_percent(ways['alpha'][1])} and "
        f"{_percent(ways['alpha'][3])}, and {best}, which comes nearest, at {_percent(ways[best][1])} and "
        f"{_percent(ways[best][3])}.",
        f"So memorising is told from grokked plainly (rand_distance {memorising.mean('rand_distance'):.2f} and "
        f"{grokked.mean('rand_distance'):.2f}), degraded from grokked hardly: mean alpha differs by {gap:.2f}, less "
        f"than the standard error of one layer's alpha, {grokked.mean('sigma'):.2f}. But for its last {steps:,} of "
        f"{degraded.checkpoint.step:,} steps the degraded network is the grokked one, and its spectra show that.",
    ]


def _misleading(chapters: list[SpectralChapter]) -> list[str]:
    """Where a rule of thumb says the opposite of the test accuracy."""
    initial, memorising, grokked, degraded = chapters
    below = int((grokked.details["alpha"] < OVER_TRAINED_BELOW).sum())
    norms = [signed(chapter.mean("log_spectral_norm"), 2) for chapter in (grokked, degraded)]
    alarms = int(initial.details["num_traps"].sum())
    return [
        f"A rule misleads: HT-SR calls alpha below 2 over-trained, which is {below} of {len(grokked.details)} layers "
        f"of grokked, the best network (mean {grokked.mean('alpha'):.2f}). The mean nearest 2 is that of memorising "
        f"({memorising.mean('alpha'):.2f}), right on {_percent(memorising.checkpoint.test_accuracy)} of unseen pairs. "
        f"Layers that SETOL calls ideal: {memorising.called('ideal')} in memorising, {degraded.called('ideal')} in "
        f"degraded, {grokked.called('ideal')} in grokked.",
        f"log_spectral_norm follows the steps trained, not what was learned: it is highest in degraded ({norms[1]}; "
        f"grokked {norms[0]}). Correlation traps, a sign of single weights gone wrong, number {_traps(degraded)} in "
        "degraded: wrong labels need not leave any."
        + (" Any in initial is a false alarm: those weights are noise." if alarms else ""),
    ]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
