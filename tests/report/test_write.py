"""The file: self-contained, safe whatever it holds, whole or not at all; the command that writes it."""

import base64
import hashlib
import html
import importlib.util
import json
import re
import subprocess
import sys

import pytest
from safetensors.numpy import save_file

import spinspectra as ss
from spinspectra import IsingChain
from spinspectra.errors import MissingExtraError, OptionError, WeightsError
from spinspectra.report import write_report
from spinspectra.text import printable
from tests.cli.helpers import run
from tests.report.pages import HOSTILE, blocks, heavy, kernels, layers_of, noise, opt, text_of

KNOWN = (
    "!doctype html head meta title style body a header div p h1 h2 h3 button nav noscript main section ul li span dl "
    "dt dd b label input select option output table caption thead tbody tr th td small details summary script wbr"
)


def markup_of(page) -> str:
    """The page without what stands in scripts and styles."""
    return re.sub(r"(<(script|style)[^>]*>).*?(</\2>)", r"\1\3", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_nothing_is_fetched(one, two):
    for page in (one, two):
        markup = markup_of(page)
        assert not re.search(r"\b(src|srcset|href|action|data|poster)\s*=\s*[\"'](?!#)", markup)
        assert "default-src 'none'" in html.unescape(markup)
        style = re.search(r"<style>(.*?)</style>", page.read_text(encoding="utf-8"), re.DOTALL).group(1)
        assert not re.search(r"@import|url\(", style)


def test_only_scripts_of_the_page_may_run(one):
    """The policy's digests are those of the two scripts, as a browser takes them."""
    text = one.read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = re.search(r"script-src ([^;]*);", html.unescape(text)).group(1)
    assert allowed.split() == [f"'sha256-{digest}'" for digest in digests]


def test_hostile_names_are_text(attacked):
    markup = markup_of(attacked)
    tags = {name.lower() for name in re.findall(r"</?([a-z!][a-z0-9]*)", markup, re.IGNORECASE)}
    assert tags <= set(KNOWN.split())
    assert len(re.findall("<script", markup)) == 1 + len(HOSTILE) + 3 + 2  # data, layers, and the two that run
    names = {printable(name) for name in HOSTILE} | {"nan", "zero", "same"}
    assert {layer["name"] for layer in layers_of(attacked)} == names
    shown = html.unescape(text_of(attacked))
    for name in HOSTILE:
        if len(name) < 60:
            assert printable(name) in shown
    for layer in layers_of(attacked):
        for figure in layer["figures"]:
            drawn = json.dumps(figure["data"]) + json.dumps(figure["layout"])
            assert "window.broken" not in drawn


def test_what_plotly_draws_has_no_tags_of_names(attacked):
    for figure in blocks(attacked)["page-data"]["figures"]["glance"]:
        for trace in figure["data"]:
            for text in trace.get("hovertext", ()):
                assert set(re.findall(r"<[^>]*>", text)) <= {"<br>"}


def test_a_long_name_is_there_whole_and_shown_short(attacked):
    markup = markup_of(attacked)
    assert "long" * 100 not in markup
    assert "long" * 2500 in {layer["name"] for layer in layers_of(attacked)}


def test_a_failed_layer_has_its_row_with_the_reason(attacked):
    page = blocks(attacked)["page-data"]
    rows = {row["longname"]: row for row in page["rows"]}
    assert rows["nan"]["status_word"] == "failed"
    assert rows["nan"]["remark"] == "600 of 600 values are NaN or infinite"
    assert "600 of 600 values are NaN or infinite" in text_of(attacked)
    (layer,) = [layer for layer in layers_of(attacked) if layer["name"] == "nan"]
    assert layer["figures"] == []
    assert "alpha" not in layer["row"]


def test_untrained_layers_are_told_apart(untrained):
    assert {row["status_word"] for row in blocks(untrained)["page-data"]["rows"]} == {"noise"}


def test_ising_half_has_its_numbers(one):
    """The bound is that of the chain, the energy one that some state has, and both are on the page."""
    chain = IsingChain.from_weights(opt())
    figures = {figure["title"]: figure for figure in blocks(one)["page-data"]["figures"]["spins"]}
    assert list(figures) == ["Lowest energy", "Density of states", "Specific heat"]
    marks = {trace["name"].split(":")[0]: trace["x"] for trace in figures["Lowest energy"]["data"] if trace["name"]}
    (bound,) = marks["bound"]
    (found,) = marks["found by annealing, as trained"]
    assert bound == pytest.approx(-ss.energy_bounds(chain).dual / chain.n_spins, rel=1e-5)
    assert found == pytest.approx(ss.anneal(chain, 1000, seed=1).energy_per_spin, rel=0.02)
    assert bound <= found < min(marks["found, weights shuffled"])
    assert f"{chain.n_spins:,}" in text_of(one)


def test_densities_are_drawn_with_their_errors_and_owners(one, densities):
    figures = {figure["title"]: figure for figure in blocks(one)["page-data"]["figures"]["spins"]}
    figure = figures["Density of states"]
    assert "dos (256 spins): this network." in figure["caption"]
    assert "dos_shuffled (256 spins): this network, weights shuffled." in figure["caption"]
    density = ss.DensityOfStates.load(densities[0])
    (line,) = [trace for trace in figure["data"] if trace["name"] == "dos"]
    assert max(y for y in line["y"] if y is not None) == pytest.approx(density.ln_g.max() / 256, rel=1e-5)
    assert sum(trace.get("fill") == "tonexty" for trace in figure["data"]) == 2
    peaks = [entry["label"] for entry in figures["Specific heat"]["legend"] if "T_c" in entry["label"]]
    assert len(peaks) == 2


def test_a_density_of_another_network_is_said_to_be(tmp_path, densities):
    page = write_report(opt(seed=3), tmp_path / "other.html", densities=densities[:1])
    (figure,) = [f for f in blocks(page)["page-data"]["figures"]["spins"] if f["title"] == "Density of states"]
    assert "of other couplings than those of this page" in figure["caption"]


def test_a_checkpoint_without_a_chain_says_why(tmp_path):
    page = write_report({"a.weight": heavy(0), "b.weight": heavy(1)}, tmp_path / "no.html")
    text = text_of(page)
    assert "There is no Ising chain: mapping of arrays" in text
    assert blocks(page)["page-data"]["figures"]["spins"] == []


def test_how_it_was_made_has_digests_seeds_and_versions(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({"a.weight": heavy(0)}, file)
    page = write_report(file, tmp_path / "page.html", ising=False, seed=7, command="spinspectra report x")
    text = text_of(page)
    assert hashlib.sha256(file.read_bytes()).hexdigest() in text
    assert f"spinspectra {ss.__version__}" in text
    assert "seed=7" in text
    assert "spinspectra report x" in text


def test_weights_in_memory_have_a_digest_of_their_values(tmp_path):
    digests = set()
    for at, factor in enumerate((1.0, 1.0, 2.0)):
        page = write_report({"a.weight": factor * heavy(0)}, tmp_path / f"{at}.html", ising=False)
        digests.add(re.search(r"SHA-256\s*([0-9a-f]{64})", text_of(page)).group(1))
    assert len(digests) == 2


def test_a_hundred_of_the_largest_layers_stay_below_ten_megabytes(tmp_path):
    """A layer with all bins and points that there can be, a convolution of 2,560 eigenvalues, times 100."""
    page = write_report({"conv.weight": kernels(8, 50, 40)}, tmp_path / "conv.html", ising=False)
    (layer,) = layers_of(page)
    points = {figure["title"]: max(len(trace["x"]) for trace in figure["data"]) for figure in layer["figures"]}
    assert points["Spectrum and power-law fit"] == 101
    assert page.stat().st_size + 99 * (len(json.dumps(layer)) + 5000) < 10e6  # 5,000: its row of the table


def test_an_old_page_stays_if_the_new_one_fails(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("old")
    with pytest.raises(WeightsError):
        write_report(tmp_path / "absent", page)
    with pytest.raises(OptionError, match="nothing is called 'absent'"):
        write_report({"a.weight": heavy(0)}, page, layers=["absent"])
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert page.read_text() == "old"


def test_a_stack_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OptionError, match="prefix='absent': mapping of arrays has blocks under"):
        write_report(opt(), tmp_path / "page.html", prefix="absent")


def test_refused_before_the_work(tmp_path):
    with pytest.raises(OptionError, match="is a folder; give the name of a file"):
        write_report(opt(), tmp_path)
    with pytest.raises(OptionError, match="heat: is sampled for one checkpoint"):
        write_report(opt(), tmp_path / "a.html", compare_to=opt(), heat=True)


@pytest.mark.parametrize("package", ["jinja2", "plotly"])
def test_a_missing_package_names_the_extra(tmp_path, monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr("spinspectra.report.page.find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(MissingExtraError, match=rf"needs {package}: pip install 'spinspectra\[report\]'"):
        write_report({"a.weight": heavy(0)}, tmp_path / "a.html")


def test_importing_the_package_and_the_command_imports_neither(tmp_path):
    code = "import sys, spinspectra, spinspectra.cli.app; print([m for m in ('plotly', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_writes_a_page(tmp_path, densities):
    save_file(noise(2, 40, 30), tmp_path / "model.safetensors")
    done = run("report", tmp_path / "model.safetensors", "-o", tmp_path / "r.html", "--no-ising", "--layers", "layer.1")
    assert done.returncode == 0, done.stderr
    assert "open it in any browser" in done.stdout
    assert [layer["name"] for layer in layers_of(tmp_path / "r.html")] == ["layer.1"]
    assert "spinspectra report" in text_of(tmp_path / "r.html")


def test_the_command_takes_densities_and_several_models(tmp_path, densities):
    for name, factor in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        tensors = {key: factor * value for key, value in opt().items()}
        save_file(tensors, tmp_path / name / "model.safetensors")
    models = [tmp_path / "a", tmp_path / "b"]
    done = run("report", *models, "--dos", *densities, "--no-ising", "-o", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr
    assert "a and b" in text_of(tmp_path / "r.html")
    spins = blocks(tmp_path / "r.html")["page-data"]["figures"]["spins"]
    assert [figure["title"] for figure in spins] == ["Density of states", "Specific heat"]


def test_the_command_refuses_in_one_line(tmp_path):
    done = run("report", tmp_path / "absent.safetensors", "-o", tmp_path / "r.html")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "r.html").exists()
