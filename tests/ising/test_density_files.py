"""Densities on disk: ours come back exactly, the paper's as they are, and what is none of these is refused."""

import errno
import json
import math
import os
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.ising.density import DensityError, DensityOfStates, from_half
from spinspectra.ising.oracles import ConstantCouplings, SquareLattice
from tests import paper

LN2, LN10 = math.log(2.0), math.log(10.0)
LATTICE = Path(__file__).parent.parent / "data" / "ising8x8.dat"
ARRAYS = ("energies", "ln_g", "stderr", "counts")

posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")


def exact_density(stderr=None, runs=None):
    """44 spins of one coupling: every level known."""
    levels, ln_g = ConstantCouplings((20, 24), (0.125,)).ln_g()
    half = levels <= 0.0
    how = {"method": "binomials", "seed": 3, "betas": [0.0, 0.5], "source": "two\nlines", "none": None}
    return from_half(levels[half], ln_g[half], stderr, None, 44, 0.5, how, runs)


@pytest.fixture(scope="module")
def density():
    return exact_density()


@pytest.fixture
def nc(density, tmp_path):
    density.save(tmp_path / "dos.nc")
    return tmp_path / "dos.nc"


@pytest.fixture
def dat(density, tmp_path):
    density.save(tmp_path / "dos.dat")
    return tmp_path / "dos.dat"


def assert_refused(path, text="", error=DensityError, **options):
    with pytest.raises(error) as caught:
        DensityOfStates.load(path, **options)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    assert len(message) < len(str(path)) + 450
    assert text in message


# Ours


NUMBERS = st.floats(-1e150, 1e150)


@st.composite
def densities(draw):
    """Any numbers that a density may hold, with or without runs."""
    size = draw(st.integers(1, 12))
    vector = st.lists(NUMBERS, min_size=size, max_size=size).map(np.array)
    energies = np.array(sorted(draw(st.lists(NUMBERS, min_size=size, max_size=size, unique=True))))
    unknown = st.floats(0.0, 1e6) | st.just(math.nan) | st.just(math.inf)
    stderr = np.array(draw(st.lists(unknown, min_size=size, max_size=size)))
    counts = np.array(draw(st.lists(st.integers(0, 2**63 - 1), min_size=size, max_size=size)), np.int64)
    runs = draw(st.none() | st.lists(vector, min_size=1, max_size=3).map(np.array))
    if runs is not None and size > 1:
        runs[0, draw(st.integers(0, size - 1))] = np.nan
    how = draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers() | NUMBERS, max_size=3))
    n_spins, width = draw(st.integers(1, 10**7)), draw(st.floats(1e-100, 1e100))
    means = draw(st.none() | st.floats(-0.5, 0.5).map(lambda share: energies + share * width))
    return DensityOfStates(energies, draw(vector), stderr, counts, n_spins, width, how, runs, means)


@settings(max_examples=25, deadline=None)
@given(densities())
def test_netcdf_holds_everything_exactly(density):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dos.nc"
        density.save(path)
        again = DensityOfStates.load(path)
        assert os.listdir(folder) == ["dos.nc"]  # noqa: PTH208
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(density, name))
        assert getattr(again, name).dtype == (np.int64 if name == "counts" else np.float64)
    assert (again.runs is None) == (density.runs is None)
    if density.runs is not None:
        np.testing.assert_array_equal(again.runs, density.runs)
    assert (again.means is None) == (density.means is None)
    if density.means is not None:
        np.testing.assert_array_equal(again.means, density.means)
    assert (again.n_spins, again.bin_width, again.how) == (density.n_spins, density.bin_width, density.how)


@settings(max_examples=60, deadline=None)
@given(densities())
def test_text_holds_energies_and_ln_g_exactly(density):
    """Even though (x / N) * N need not be x in float64."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dos.dat"
        density.save(path)
        again = DensityOfStates.load(path)
        assert os.listdir(folder) == ["dos.dat"]  # noqa: PTH208
    np.testing.assert_array_equal(again.energies, density.energies)
    np.testing.assert_array_equal(again.ln_g, density.ln_g)
    assert (again.n_spins, again.bin_width, again.runs) == (density.n_spins, density.bin_width, None)
    assert density.how.items() <= again.how.items()
    assert np.isnan(again.stderr).all()
    assert not again.counts.any()


def test_the_text_is_the_papers_format(dat, density):
    """Two columns for any reader, the second of them natural logs a spin: the states sum to 2^N."""
    energies, column = np.loadtxt(dat).T
    np.testing.assert_array_equal(energies, density.energies)
    assert np.logaddexp.reduce(44 * column) == pytest.approx(44 * LN2, rel=1e-12)
    assert len(dat.read_text().splitlines()) == 2 + density.energies.size


def test_a_file_written_over_is_read_anew(tmp_path, density):
    for suffix in (".nc", ".dat"):
        path = tmp_path / f"dos{suffix}"
        density.save(path)
        assert DensityOfStates.load(path).ln_g[0] == density.ln_g[0]
        replace(density, ln_g=density.ln_g + 1.0).save(path)
        assert DensityOfStates.load(path).ln_g[0] == density.ln_g[0] + 1.0


def test_suffixes_of_any_case_and_paths_as_text(tmp_path, density):
    for name in ("A.NC", "b.Dat"):
        density.save(str(tmp_path / name))
        np.testing.assert_array_equal(DensityOfStates.load(str(tmp_path / name)).ln_g, density.ln_g)


def test_what_made_it_is_told(nc, dat):
    for path in (nc, dat):
        how = DensityOfStates.load(path).how
        assert how["method"] == "binomials"
        assert how["source"] == "two\nlines"
    assert how["log_base"] == "e"
    assert how["log_base_from"] == "head"


def test_a_number_of_spins_that_agrees_is_fine_and_another_is_not(nc, dat):
    for path in (nc, dat):
        assert DensityOfStates.load(path, n_spins=44).n_spins == 44
        assert_refused(path, "of 44 spins, and n_spins=45 was given", n_spins=45)


@pytest.mark.parametrize("name", ["dos.csv", "dos", "dos.nc.gz"])
def test_other_suffixes_are_refused(tmp_path, density, name):
    with pytest.raises(OptionError, match=r"name it \.nc .* or \.dat"):
        density.save(tmp_path / name)
    (tmp_path / name).write_text("-1 0.1\n0 0.6\n")
    assert_refused(tmp_path / name, "densities of states are read from .nc and .dat", OptionError)


@pytest.mark.parametrize("suffix", [".nc", ".dat"])
def test_a_folder_that_is_not_there(tmp_path, density, suffix):
    with pytest.raises(OptionError, match=r"new/dos\.\w+: there is no folder .*new; make it first$"):
        density.save(tmp_path / "new" / f"dos{suffix}")


@pytest.mark.parametrize("suffix", [".nc", ".dat"])
def test_what_json_does_not_know_is_named_and_the_old_file_stays(tmp_path, density, suffix):
    path = tmp_path / f"dos{suffix}"
    density.save(path)
    before = path.read_bytes()
    with pytest.raises(OptionError, match=r"how: values that JSON does not know: set"):
        replace(density, how={"method": {"a", "set"}}).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".nc", ".dat"])
def test_a_failed_write_leaves_the_old_file(tmp_path, density, suffix, monkeypatch):
    path = tmp_path / f"dos{suffix}"
    density.save(path)
    before = path.read_bytes()

    def fail(*_args):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Input/output error"):
        replace(density, n_spins=45).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# The base of a text without a head


def headless(path, energies, column):
    path.write_text("".join(f"{e!r} {c!r}\n" for e, c in zip(energies.tolist(), column.tolist(), strict=True)))
    return path


@pytest.mark.parametrize("n_spins", [44, 4400, 44_000_000])
def test_the_base_is_told_by_the_number_of_states(tmp_path, density, n_spins):
    column = density.ln_g / 44
    natural = DensityOfStates.load(headless(tmp_path / "e.dat", density.energies, column), n_spins)
    common = DensityOfStates.load(headless(tmp_path / "10.dat", density.energies, column / LN10), n_spins)
    assert (natural.how["log_base"], common.how["log_base"]) == ("e", 10)
    np.testing.assert_allclose(natural.ln_g, column * n_spins, rtol=1e-15)
    np.testing.assert_allclose(common.ln_g, column * n_spins, rtol=1e-15)


def test_no_base_makes_more_states_than_there_are(tmp_path, density):
    """Bins that hold 2^(0.6 N) states in all: by base 10 2^(1.38 N), no farther from 2^N, but more than all."""
    path = headless(tmp_path / "x.dat", density.energies, 0.6 * density.ln_g / 44)
    assert DensityOfStates.load(path, 44).how["log_base"] == "e"


@pytest.mark.parametrize("base", ["e", math.e])
def test_a_base_that_is_given_is_taken(tmp_path, density, base):
    path = headless(tmp_path / "x.dat", density.energies, density.ln_g / 44)
    natural, common = DensityOfStates.load(path, 44, base), DensityOfStates.load(path, 44, 10)
    np.testing.assert_allclose(natural.ln_g, density.ln_g, rtol=1e-15)
    np.testing.assert_allclose(common.ln_g, LN10 * density.ln_g, rtol=1e-15)
    assert natural.how["log_base_from"] == common.how["log_base_from"] == "argument"
    np.testing.assert_array_equal(DensityOfStates.load(path, 44, "10").ln_g, common.ln_g)


def test_more_states_than_there_are_are_refused(tmp_path, density):
    """A column of ln g itself, not of ln g / N."""
    path = headless(tmp_path / "x.dat", density.energies, density.ln_g)
    assert_refused(path, "more than 2^N states even by the natural logarithm; is n_spins right", n_spins=44)


def test_the_number_of_spins_is_asked_for(tmp_path, density):
    path = headless(tmp_path / "x.dat", density.energies, density.ln_g / 44)
    assert_refused(path, "says nothing of the number of spins; give n_spins", OptionError)


@pytest.mark.parametrize("log_base", ["natural", "", 2, 0, None, True])
def test_other_bases_are_refused(dat, log_base):
    with pytest.raises(OptionError, match=r"^log_base=.*: give 'auto', 'e' or 10$"):
        DensityOfStates.load(dat, log_base=log_base)


@pytest.mark.parametrize("n_spins", [0, -44, 44.0, True, "44", 2**53 + 1, 10**400], ids=lambda n: repr(n)[:20])
def test_other_numbers_of_spins_are_refused(dat, n_spins):
    with pytest.raises(OptionError, match=r"^n_spins=.*: give a whole number, at least 1 and at most 2\^53$"):
        DensityOfStates.load(dat, n_spins=n_spins)


# The paper's


@pytest.mark.parametrize("name", paper.NETWORKS)
def test_published_networks_are_in_base_10_and_kept_as_they_are(name):
    density, known = paper.read(name), paper.summary().loc[name]
    rows = [line.split() for line in paper.path(name).read_text().splitlines()]
    assert density.how["log_base"] == 10
    np.testing.assert_array_equal(density.energies, [float(energy) for energy, _ in rows])
    np.testing.assert_allclose(density.ln_g / density.n_spins / LN10, [float(share) for _, share in rows], rtol=1e-14)
    assert density.energies.size == known["rows"]
    assert density.n_spins == known["n_spins"]
    for end in ("e_min", "e_max", "width"):
        assert getattr(density, end) / density.n_spins == pytest.approx(known[f"{end}_per_spin"], rel=5e-6)
    assert np.diff(density.energies).min() == pytest.approx(density.bin_width, rel=1e-6)
    assert 0.998 < density.how["ln_total_over_n_ln2"] < 1.003
    assert density.ln_total == pytest.approx(density.how["ln_total_over_n_ln2"] * density.n_spins * LN2)
    assert np.isnan(density.stderr).all()


def test_all_published_networks_are_there():
    assert len(paper.NETWORKS) == 22
    assert set(paper.summary().index) == set(paper.NETWORKS)
    assert {path.stem for path in paper.folder().glob("*.dat")} == {*paper.NETWORKS, "ising8x8"}


def test_the_published_lattice_is_natural_and_exact():
    """Two ground states, 128 with one spin turned, E = 256 e - 128; U(T) by Kaufman's formula."""
    density = DensityOfStates.load(LATTICE, n_spins=64)
    assert density.how["log_base"] == "e"
    assert density.bin_width == 1 / 64  # the levels next to the ends are two such steps away
    np.testing.assert_array_equal(density.ln_g, paper.read("ising8x8").ln_g)
    assert density.ln_total == pytest.approx(64 * LN2, rel=1e-12)
    assert np.exp(density.ln_g[:3]) == pytest.approx([2.0, 128.0, 256.0], rel=1e-9)
    np.testing.assert_allclose(density.ln_g, density.ln_g[::-1], rtol=1e-12)
    exact, levels = SquareLattice(8), 256.0 * density.energies - 128.0
    for beta in (0.1, 0.44, 1.0):
        assert np.logaddexp.reduce(density.ln_g - beta * levels) == pytest.approx(exact.ln_z(beta), rel=1e-12)


def test_a_published_file_saved_as_ours_is_the_same_and_says_where_it_came_from(tmp_path):
    density = paper.read("bloom")
    for suffix in (".nc", ".dat"):
        density.save(tmp_path / f"bloom{suffix}")
        again = DensityOfStates.load(tmp_path / f"bloom{suffix}")
        np.testing.assert_array_equal(again.energies, density.energies)
        np.testing.assert_array_equal(again.ln_g, density.ln_g)
        assert again.bin_width == density.bin_width
        assert again.how == density.how


# What is no density


BAD_TEXTS = {
    "empty": (b"", "no line of numbers"),
    "only comments": (b"# E\n# g\n", "no line of numbers"),
    "words": (b"energy entropy\n-1 0.1\n", "could not convert string"),
    "one column": (b"-1\n0\n1\n", "number of columns: 1"),
    "three columns": (b"-1 0.1 5\n0 0.6 5\n", "number of columns: 3"),
    "columns that change": (b"-1 0.1\n0 0.6 5\n", "columns changed"),
    "a cut line": (b"-1 0.1\n0 0.6\n1", "columns changed"),
    "commas": (b"-1,0.1\n0,0.6\n", "could not convert string"),
    "one line": (b"0 0.69\n", "a single line of numbers"),
    "NaN": (b"-1 0.1\n0 nan\n1 0.1\n", "lines with NaN, infinity or numbers of 1e+200 and more: 1"),
    "infinity": (b"-inf 0.1\n0 inf\n1 0.1\n", "lines with NaN, infinity or numbers of 1e+200 and more: 2"),
    "overflow": (b"-1 0.1\n0 0.6\n1 1e999\n", "lines with NaN, infinity or numbers of 1e+200 and more: 1"),
    "huge energies": (b"-1.7e308 0.1\n1.7e308 0.6\n", "lines with NaN, infinity or numbers of 1e+200 and more: 2"),
    "huge shares": (b"-1 1e199\n1 0.6\n", "more than 2^N states"),
    "large negative shares": (b"-1 -1e308\n1 0.6\n", "lines with NaN, infinity or numbers of 1e+200 and more: 1"),
    "descending": (b"1 0.1\n0 0.6\n-1 0.1\n", "energies do not ascend"),
    "twice the same": (b"-1 0.1\n-1 0.6\n", "energies do not ascend"),
    "binary": (bytes(range(256)) * 20, "not two columns of numbers"),
    "zeros": (b"\0" * 1000, "not two columns of numbers"),
    "no UTF-8": (b"-1 0.1\n\xff\xfe 0.6\n", "not two columns of numbers"),
    "a long line": (b"x" * 1_000_000, "not two columns of numbers"),
    "an image": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "not two columns of numbers"),
    "netCDF": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "not two columns of numbers"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_texts_that_are_no_densities(tmp_path, name):
    content, text = BAD_TEXTS[name]
    (tmp_path / "x.dat").write_bytes(content)
    assert_refused(tmp_path / "x.dat", text, n_spins=64)


BAD_HEADS = {
    "cut": '{"n_spins": 44, "bin_w',
    "no number of spins": '{"bin_width": 0.4, "how": {}}',
    "half a spin": '{"n_spins": 44.5, "bin_width": 0.4, "how": {}}',
    "text": '{"n_spins": "44", "bin_width": 0.4, "how": {}}',
    "true": '{"n_spins": true, "bin_width": 0.4, "how": {}}',
    "no spins": '{"n_spins": 0, "bin_width": 0.4, "how": {}}',
    "too many": '{"n_spins": 1' + "0" * 400 + ', "bin_width": 0.4, "how": {}}',
    "too long a number": '{"n_spins": ' + "9" * 5000 + ', "bin_width": 0.4, "how": {}}',
    "no width": '{"n_spins": 44, "bin_width": null, "how": {}}',
    "width NaN": '{"n_spins": 44, "bin_width": NaN, "how": {}}',
    "width infinite": '{"n_spins": 44, "bin_width": 1e999, "how": {}}',
    "width negative": '{"n_spins": 44, "bin_width": -0.4, "how": {}}',
    "how a list": '{"n_spins": 44, "bin_width": 0.4, "how": [["a", 1]]}',
    "how text": '{"n_spins": 44, "bin_width": 0.4, "how": "by hand"}',
    "nested": '{"n_spins": 44, "bin_width": 0.4, "how": ' + "[" * 100_000,
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_damaged_heads(dat, name):
    lines = dat.read_text().splitlines()
    dat.write_text("\n".join([lines[0], f"# {BAD_HEADS[name]}", *lines[2:]]))
    assert_refused(dat)


def test_a_head_says_what_columns_mean_even_of_one_bin(tmp_path):
    from_half([0.0], [0.0], None, None, 3, 2.5, {}).save(tmp_path / "x.dat")
    again = DensityOfStates.load(tmp_path / "x.dat")
    assert (again.bin_width, again.ln_total) == (2.5, pytest.approx(3 * LN2))


@settings(max_examples=120, deadline=None)
@given(st.text('0123456789.eE+-# \t\n"{}:,naif_x', max_size=60) | st.binary(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dat"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            density = DensityOfStates.load(path, n_spins=64)
        except SpinSpectraError as error:
            text = str(error)
        else:
            text = repr(density)
            assert np.isfinite(density.ln_g).all()
    assert text.isprintable()


@pytest.mark.parametrize("suffix", [".nc", ".dat"])
def test_what_is_not_a_file(tmp_path, suffix):
    assert_refused(tmp_path / f"x{suffix}", "no such file", n_spins=64)
    (tmp_path / f"folder{suffix}").mkdir()
    assert_refused(tmp_path / f"folder{suffix}", "no such file", n_spins=64)
    assert_refused(tmp_path / f"x.dat/x{suffix}", "no such file", n_spins=64)
    with pytest.raises(DensityError):
        DensityOfStates.load(tmp_path / f"{'x' * 300}{suffix}", n_spins=64)
    with pytest.raises(DensityError):
        DensityOfStates.load(f"x\0{suffix}", n_spins=64)


@contextmanager
def pipe(path):
    """A pipe that nobody writes to: who waits for it gets nothing after five seconds."""
    os.mkfifo(path)
    end = threading.Timer(5.0, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))
    end.start()
    yield
    end.cancel()


@posix
@pytest.mark.parametrize("suffix", [".nc", ".dat"])
def test_a_pipe_is_not_waited_for(tmp_path, suffix):
    with pipe(tmp_path / f"x{suffix}"):
        assert_refused(tmp_path / f"x{suffix}", "no such file", n_spins=64)


@posix
@pytest.mark.parametrize("suffix", [".nc", ".dat"])
def test_a_file_of_a_terabyte_is_not_read(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.touch()
    os.truncate(path, 1 << 40)
    assert_refused(path, "1099511627776 bytes are no density of states", n_spins=64)


NO_NETCDF = "no netCDF file of a density of states"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_netcdf_file_cut_short(nc, share):
    whole = nc.read_bytes()
    nc.write_bytes(whole[: int(share * len(whole))])
    assert_refused(nc, NO_NETCDF)


@pytest.mark.parametrize(
    "content", [b"\0" * 5000, b"hello\n" * 500, b"CDF\1" + b"\0" * 500, b"PK\3\4" * 50, b"-1 0.1\n0 0.6\n1 0.1\n"]
)
def test_other_files_are_no_netcdf_files(tmp_path, content):
    (tmp_path / "x.nc").write_bytes(content)
    assert_refused(tmp_path / "x.nc", NO_NETCDF)


def without(name):
    return lambda file: file.__delitem__(name)


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def variable(name, values):
    """The variable with other values, on the dimension energy if they are as many."""

    def change(file):
        size = file["energy"].size
        del file[name]
        file[name] = values(size)
        if file[name].shape[:1] == (size,) and name != "energy":
            file[name].dims[0].attach_scale(file["energy"])

    return change


def set_one(name, index, value):
    def change(file):
        file[name][index] = value

    return change


def bomb(file):
    """Eight tebibytes of zeros that take no place on the disk."""
    del file["ln_g"]
    file.create_dataset("ln_g", (1 << 40,), "f8", chunks=(1 << 16,))


BAD_NETCDF = {
    "no format": (lambda file: file.attrs.__delitem__("format"), NO_NETCDF),
    "another format": (attribute("format", "spinspectra density of states, 99"), NO_NETCDF),
    "no energies": (without("energy"), NO_NETCDF),
    "no ln g": (without("ln_g"), NO_NETCDF),
    "no errors": (without("stderr"), NO_NETCDF),
    "no counts": (without("counts"), NO_NETCDF),
    "half a spin": (attribute("n_spins", 44.5), NO_NETCDF),
    "spins as text": (attribute("n_spins", "44"), NO_NETCDF),
    "no spins": (attribute("n_spins", 0), "n_spins=0"),
    "no width": (attribute("bin_width", 0.0), "bin_width=0.0"),
    "width NaN": (attribute("bin_width", math.nan), "bin_width=nan"),
    "how a list": (attribute("how", "[1, 2]"), "how is a list"),
    "how no JSON": (attribute("how", "{'a': 1}"), NO_NETCDF),
    "how nested": (attribute("how", "[" * 50_000), NO_NETCDF),
    "ln g NaN": (set_one("ln_g", 3, math.nan), "ln_g has 1 values in"),
    "ln g infinite": (set_one("ln_g", 3, -math.inf), "ln_g has 1 values in"),
    "energies huge": (set_one("energy", 0, -math.inf), "energies has 1 values in"),
    "energies fall": (set_one("energy", 0, 1e9), "energies do not ascend"),
    "energies twice": (lambda file: set_one("energy", 0, file["energy"][1])(file), "energies do not ascend"),
    "errors below zero": (set_one("stderr", 3, -0.1), "stderr has 1 values in"),
    "counts below zero": (set_one("counts", 3, -1), "counts has 1 values in"),
    "counts of fractions": (variable("counts", lambda n: np.full(n, 0.5)), "counts are of float64"),
    "counts beyond": (variable("counts", lambda n: np.full(n, 2**64 - 1, np.uint64)), "counts has"),
    "too few ln g": (variable("ln_g", lambda n: np.zeros(n - 1)), "ln_g has shape"),
    "ln g of text": (variable("ln_g", lambda n: np.array([b"x"] * n)), NO_NETCDF),
    "ln g a matrix": (variable("ln_g", lambda n: np.zeros((n, 2))), NO_NETCDF),
    "bomb": (bomb, "bytes of numbers are no density of states"),
}


@pytest.mark.parametrize("name", BAD_NETCDF)
def test_netcdf_files_that_are_no_densities(nc, name):
    change, text = BAD_NETCDF[name]
    with h5py.File(nc, "r+") as file:
        change(file)
    assert_refused(nc, text)


def test_runs_that_do_not_fit(tmp_path):
    path = tmp_path / "x.nc"
    exact_density(runs=np.zeros((3, (exact_density().ln_g.size + 1) // 2))).save(path)
    with h5py.File(path, "r+") as file:
        file["runs"][1] = math.nan
    assert_refused(path, "a run has no bin with a finite ln_g")


def test_energies_are_not_made_up(nc):
    """Where a dimension has no variable, xarray offers 0, 1, 2, ... in its place."""
    whole = xr.load_dataset(nc, engine="h5netcdf")
    whole.drop_vars("energy").to_netcdf(nc, engine="h5netcdf")
    assert_refused(nc, f"{NO_NETCDF}, or a damaged one ('energy')")


def test_netcdf_files_of_others(tmp_path):
    xr.Dataset({"ln_g": ("energy", [0.0, 1.0])}, coords={"energy": [0.0, 1.0]}).to_netcdf(
        tmp_path / "x.nc", engine="h5netcdf"
    )
    assert_refused(tmp_path / "x.nc", NO_NETCDF)


def test_hdf5_files_of_others(tmp_path):
    with h5py.File(tmp_path / "x.nc", "w") as file:
        file["weights"] = np.zeros((3, 4))
    assert_refused(tmp_path / "x.nc", f"{NO_NETCDF}, or a damaged one ('format')")


def test_our_netcdf_opens_with_xarray(nc, density):
    """As the docs say: labelled, with units and what made it."""
    with xr.open_dataset(nc, engine="h5netcdf") as dataset:
        np.testing.assert_array_equal(dataset["ln_g"].sel(energy=density.e_min), density.ln_g[0])
        assert dataset.attrs["n_spins"] == 44
        assert json.loads(dataset.attrs["how"])["method"] == "binomials"
