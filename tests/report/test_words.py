"""The verdict says what the numbers carry, and how sure it is."""

import numpy as np
import pytest

import spinspectra as ss
from spinspectra.report.collect import collect
from spinspectra.report.parts import Ising, Spins
from spinspectra.report.words import energy, findings, headline, percent
from spinspectra.spectra.measure import Measures
from spinspectra.studies.null import ShuffledNull
from tests.report.pages import heavy, hostile, noise

MEASURES = Measures(detx=True, randomize=True, mp_fit=True)


def model_of(source, measures=MEASURES):
    return collect(ss.open_weights(source), measures)


def said(model, ising=None, group=None):
    return " ".join(one.text for one in findings(model, ising) if group is None or one.group == group)


def spins(found: float, twins: tuple[float, ...], within: tuple[float, ...] | None = None) -> Ising:
    matrix = None if within is None else ShuffledNull(found, within)
    return Ising((Spins(100, 1000, 2.0 * abs(found), 3.0 * abs(found), ShuffledNull(found, twins), matrix, 1000, "x"),))


def test_random_matrices_are_called_random():
    model = model_of(noise())
    assert "all of them look like random numbers" in headline(model, None)
    assert "3 layers look like random numbers" in said(model, group="unsound")
    assert "structure" not in said(model, group="sound")


def test_a_learned_direction_is_structure():
    source = noise(2)
    rng = np.random.default_rng(0)
    learned = 0.35 * np.outer(rng.standard_normal(300), rng.standard_normal(200))
    source["layer.0.weight"] += learned.astype(np.float32)
    model = model_of(source)
    (one,) = [one for one in findings(model, None) if "structure that random weights do not have" in one.text]
    assert (one.group, one.sure, one.layers) == ("sound", "tested", (0,))
    assert "1 of them looks like random numbers" in headline(model, None)


def test_layers_that_cannot_be_measured_come_first_and_are_certain():
    model = model_of(hostile())
    names = [part.row["longname"] for part in model.layers]
    unsound = [one for one in findings(model, None) if one.group == "unsound"]
    assert unsound[0].sure == "certain"
    assert [names[at] for at in unsound[0].layers] == ["nan"]
    assert "1 layer could not be measured" in unsound[0].text
    (tailless,) = [one for one in findings(model, None) if "no tail to fit" in one.text]
    assert [names[at] for at in tailless.layers] == ["same", "zero"]
    assert headline(model, None).startswith("7 of 10 layers could be measured")


def test_nothing_is_said_of_what_was_not_asked_for():
    model = model_of({"a.weight": heavy(0)}, Measures())
    assert "random numbers" not in headline(model, None)
    text = said(model, group="unknown")
    assert "noise bulk (Marchenko-Pastur) was left out" in text
    assert "permuted weights was left out" in text
    assert "search for low energies was left out" in text
    assert "trap" not in said(model, group="look")


def test_no_verdict_on_accuracy():
    assert "How well the network does its task" in said(model_of({"a.weight": heavy(0)}), group="unknown")


@pytest.mark.parametrize(("found", "group"), [(-2.0, "sound"), (-1.0, "look"), (-0.97, "look")])
def test_energy_no_lower_than_the_shuffled_twins_is_no_structure(found, group):
    model = model_of({"a.weight": heavy(0)})
    (one,) = [one for one in findings(model, spins(found, (-1.0, -1.01, -0.99))) if "per spin" in one.text]
    assert one.group == group
    assert f"{found / -1.0:.2f} times" in one.text
    assert energy(2.0 * found) in one.text


def test_the_test_within_matrices_is_students():
    """Three twins of sd 1: 12 of them below the mean has p = 2 t_2(-12 / sqrt(4/3)) = 0.00914."""
    model = model_of({"a.weight": heavy(0)})
    ising = spins(-12.0, (-1.0, -1.0, -1.1), (-1.0, 0.0, 1.0))
    (one,) = [one for one in findings(model, ising) if "Shuffled within each matrix" in one.text]
    assert (one.group, "p = 0.0091" in one.text) == ("sound", True)
    ising = spins(-2.0, (-1.0, -1.0, -1.1), (-1.0, 0.0, 1.0))
    (one,) = [one for one in findings(model, ising) if "within each matrix" in one.text]
    assert (one.group, "no proof of training" in one.text) == ("look", True)


def test_a_chain_that_is_not_there_is_not_made_up():
    model = model_of({"a.weight": heavy(0)})
    text = said(model, Ising(("unknown family",)), group="unknown")
    assert "no chain of spins" in text
    assert "energy" not in said(model, Ising(("unknown family",)), group="sound")


def test_percent_has_no_exponent():
    assert [percent(x) for x in (0.0, 1.2e-5, 0.1, 0.996, 123.4)] == ["0 %", "0.0012 %", "10 %", "100 %", "12340 %"]
