"""Pages opened from disk in Chromium: nothing fetched, no error, the table and the figures work, nothing overlaps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from spinspectra.report import write_report
from spinspectra.report.moved_figures import TITLES
from spinspectra.text import printable
from tests.report.pages import HOSTILE, blocks, layers_of, noise

READY = "main[aria-busy='false']"

# Pairs of boxes of text or figures that lie over one another, by what they are.
OVERLAPS = """() => {
  const met = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const found = [];
  const check = (elements, what) => {
    const boxes = elements.map((e) => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width && b.height);
    boxes.forEach(([one, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
      if (met(a, b)) found.push(`${what}: ${one.textContent.slice(0, 40)} | ${other.textContent.slice(0, 40)}`);
    }));
  };
  const grids = document.querySelectorAll(".figures, .groups, .numbers, .values");
  for (const grid of grids) check([...grid.children], "grid");
  for (const one of document.querySelectorAll("figure")) check([...one.children], "figure");
  for (const one of document.querySelectorAll(".js-plotly-plot")) {
    check([...one.querySelectorAll(".xtick text, .ytick text, .xtitle, .ytitle")], "axes");
  }
  check([...document.querySelectorAll("main > section > *")], "section");
  return found;
}"""

# Figures whose axes have no name, other than one whose ticks are words.
UNNAMED = """() => [...document.querySelectorAll(".js-plotly-plot")].filter((plot) => {
  const text = (name) => (plot.querySelector(name) || {textContent: ""}).textContent.trim();
  const words = [...plot.querySelectorAll(".ytick text")].some((one) => /[a-z]{3}/.test(one.textContent));
  return !text(".xtitle") || !(text(".ytitle") || words);
}).map((plot) => plot.getAttribute("aria-label"))"""


class Opened:
    """A page in a tab, and what it said and asked for."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.said: list[str] = []
        self.asked: list[str] = []
        tab.on("console", lambda message: self.said.append(message.text))
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("request", lambda request: self.asked.append(request.url))

    def order(self, key: str, rows: list[dict[str, Any]]) -> list[Any]:
        """The values of a column as the table shows them, from the top."""
        order = self.tab.eval_on_selector_all("tbody", "all => all.map(b => Number(b.dataset.at))")
        return [rows[at][key] for at in order]

    def visible(self) -> list[str]:
        return [name.strip() for name in self.tab.locator("tr.row:visible .open").all_text_contents()]


@contextmanager
def opened(browser: Any, page: Path, width: int = 1280, scheme: str = "light") -> Iterator[Opened]:
    """From disk, offline; at the end nothing may have been fetched, and nothing said on the console."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    try:
        made = Opened(context.new_page())
        made.tab.goto(page.as_uri())
        made.tab.wait_for_selector(READY)
        yield made
        assert made.said == []
        assert made.asked == [page.as_uri()]
    finally:
        context.close()


def drawn(tab: Any) -> int:
    tab.wait_for_selector(READY)
    return int(tab.locator(".js-plotly-plot .main-svg .xtitle").count())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_opens_and_everything_has_its_place_and_name(browser, one, scheme):
    with opened(browser, one, scheme=scheme) as page:
        page.tab.locator("#layer-4 .open").click()
        n = len(layers_of(one)[4]["figures"])
        assert (n, drawn(page.tab)) == (5, 2 + 3 + n)
        assert page.tab.evaluate(OVERLAPS) == []
        assert page.tab.evaluate(UNNAMED) == []
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= 1280
        captions = page.tab.locator("figcaption").all_text_contents()
        assert len(captions) == 2 + 3 + n
        assert all(len(caption) > 40 for caption in captions)
        ink = page.tab.locator(".js-plotly-plot .xtitle").first.evaluate("e => getComputedStyle(e).fill")
        ground = page.tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ink, ground) == {
            "light": ("rgb(27, 31, 36)", "rgb(255, 255, 255)"),
            "dark": ("rgb(232, 234, 237)", "rgb(20, 23, 27)"),
        }[scheme]


def test_the_table_sorts_by_any_column(browser, attacked):
    rows = blocks(attacked)["page-data"]["rows"]
    with opened(browser, attacked) as page:
        alpha = page.tab.locator("th[data-key='alpha']")
        for sort, reverse in (("ascending", False), ("descending", True)):
            alpha.locator("button").click()
            assert alpha.get_attribute("aria-sort") == sort
            values = page.order("alpha", rows)
            known = [value for value in values if value is not None]
            assert known == sorted(known, reverse=reverse)
            assert values[len(known) :] == [None] * 3  # those without are last either way
        page.tab.locator("th[data-key='at'] button").click()
        assert alpha.get_attribute("aria-sort") == "none"
        order = page.tab.eval_on_selector_all("tbody", "all => all.map(b => Number(b.dataset.at))")
        assert order == list(range(len(rows)))


def test_the_table_filters_by_text_and_status(browser, attacked):
    with opened(browser, attacked) as page:
        page.tab.locator("#filter").fill("NAN OR INF")  # the remark, whatever the case
        assert page.visible() == ["nan"]
        assert page.tab.locator("#shown").text_content() == "1 of 10 layers"
        page.tab.locator("#filter").fill("<B>")
        assert page.visible() == [HOSTILE[2]]
        page.tab.locator("#filter").fill("")
        page.tab.locator("#status").select_option("failed")
        assert page.visible() == ["nan", "same", "zero"]
        page.tab.locator("#status").select_option("heavy-tailed")
        page.tab.locator(".unsound [data-opens]").first.click()  # what it names is shown though the filter hid it
        assert len(page.visible()) == 10
        assert page.tab.locator("tbody.opened .full-name").text_content() == "nan"
        assert "600 of 600 values are NaN" in page.tab.locator("tbody.opened").inner_text()


def test_hostile_names_are_shown_and_run_nothing(browser, attacked):
    with opened(browser, attacked) as page:
        names = [layer["name"] for layer in layers_of(attacked)]
        worst = [names.index(printable(HOSTILE[at])) for at in (0, 1, 3)]
        for at in worst:
            page.tab.locator(f"#layer-{at} .open").click()
        drawn(page.tab)
        assert page.tab.evaluate("window.broken === undefined && document.images.length === 0")
        shown = page.tab.locator(".full-name").all_text_contents()
        assert sorted(shown) == sorted(names[at] for at in worst)
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= 1280
        labels = []
        for mark in page.tab.locator(".js-plotly-plot").first.locator(".points path").all():
            mark.hover(force=True)
            page.tab.wait_for_timeout(100)  # plotly.js lets hovers through every so often
            labels.append(page.tab.locator(".hoverlayer").first.text_content())
        for name in HOSTILE:
            assert any(label.startswith(printable(name)[:40]) for label in labels)


def test_rows_open_by_keyboard_and_close(browser, one):
    with opened(browser, one) as page:
        button = page.tab.locator("#layer-2 .open")
        button.focus()
        page.tab.keyboard.press("Enter")
        assert button.get_attribute("aria-expanded") == "true"
        assert button.get_attribute("aria-controls") == "panel-2"
        row, panel = layers_of(one)[2]["row"], page.tab.locator("#panel-2")
        names, texts = (panel.locator(f"dt {tag}").all_text_contents() for tag in ("span", "b"))
        values = dict(zip(names, texts, strict=True))
        assert values["alpha"] == f"{row['alpha']:.2f} ± {row['sigma']:.2f}"
        assert values["D"] == f"{row['D']:.3f}"
        assert values["stable rank"] == f"{row['stable_rank']:.2f}"
        assert all(text for text in panel.locator("dd").all_text_contents())
        drawn(page.tab)
        page.tab.keyboard.press("Enter")
        assert (button.get_attribute("aria-expanded"), panel.is_visible()) == ("false", False)
        page.tab.keyboard.press("Shift+Tab")
        assert page.tab.evaluate("document.activeElement.className") == "open"


def test_figures_respond(browser, one):
    with opened(browser, one) as page:
        plot = page.tab.locator("#network .js-plotly-plot").first
        before = plot.locator(".ytick text").all_text_contents()
        mark = plot.locator(".points path").nth(0)
        mark.hover(force=True)
        assert "power law:" in page.tab.locator(".hoverlayer").first.text_content()
        mark.click(force=True)
        assert page.tab.locator("tbody.opened").count() == 1
        plot.scroll_into_view_if_needed()
        box = plot.locator(".nsewdrag").bounding_box()
        x, y = box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"]
        page.tab.mouse.move(x, y)
        page.tab.mouse.down()
        page.tab.mouse.move(x + 0.3 * box["width"], y + 0.3 * box["height"], steps=4)
        page.tab.mouse.up()
        assert plot.locator(".ytick text").all_text_contents() != before


def test_the_theme_is_chosen_and_paper_is_light(browser, one, tmp_path):
    with opened(browser, one, scheme="dark") as page:
        title = page.tab.locator(".js-plotly-plot .xtitle").first
        button = page.tab.locator("#theme")
        fills = []
        for said in ("as the system", "light", "dark", "as the system"):
            assert button.text_content() == f"Theme: {said}"
            fills.append(title.evaluate("e => getComputedStyle(e).fill"))
            button.click()
        assert fills[0] == fills[2] == fills[3] != fills[1]
        button.click()
        assert page.tab.locator("html").get_attribute("data-theme") == "dark"
        page.tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.tab.locator("html").get_attribute("data-theme") == "light"
        assert page.tab.locator("details.glossary").get_attribute("open") is not None
        widths = page.tab.eval_on_selector_all(".main-svg", "all => all.map(e => e.getBoundingClientRect().width)")
        assert 0 < max(widths) <= 690
        page.tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert page.tab.locator("html").get_attribute("data-theme") == "dark"
        page.tab.pdf(path=tmp_path / "page.pdf", format="A4")
        assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_a_narrow_screen_holds_it(browser, one):
    with opened(browser, one, width=390) as page:
        page.tab.locator("#layer-0 .open").click()
        drawn(page.tab)
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.tab.evaluate(OVERLAPS) == []
        assert page.tab.locator("#panel-0 .panel-inside").bounding_box()["width"] <= 390


def test_who_cannot_see_it_can_use_it(browser, one):
    with opened(browser, one) as page:
        tab = page.tab
        assert tab.locator("html").get_attribute("lang") == "en"
        ids = tab.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
        assert len(ids) == len(set(ids))
        assert tab.get_by_role("link", name="Skip to the verdict").count() == 1
        assert tab.get_by_role("searchbox", name="Show layers with").count() == 1
        assert tab.get_by_role("combobox", name="and status").count() == 1
        assert tab.get_by_role("columnheader").count() == tab.locator("thead th").count() > 8
        assert tab.get_by_role("rowheader").count() == 6
        images = tab.locator(".plot[role='img']").all()
        assert len(images) == 5
        for image in images:
            assert "against" in image.get_attribute("aria-label")
            assert tab.locator(f"#{image.get_attribute('aria-describedby')}").text_content()
        assert tab.eval_on_selector_all("h1, h2, h3", "all => all.map(e => e.tagName)")[:3] == ["H1", "H2", "H3"]


def test_two_checkpoints_stand_side_by_side(browser, two):
    rows = blocks(two)["page-data"]["rows"]
    with opened(browser, two) as page:
        assert page.order("change", rows) == sorted((row["change"] for row in rows), reverse=True)
        page.tab.locator("tbody .open").first.click()
        drawn(page.tab)
        assert page.tab.locator("tbody.opened figure").count() == 1
        assert page.tab.evaluate(OVERLAPS) == []
        assert page.tab.evaluate(UNNAMED) == []


def test_a_series_is_lines_over_steps(browser, folder):
    series = write_report(noise(2, 40, 30), folder / "series.html", compare_to=[noise(2, 40, 30)] * 2, ising=False)
    with opened(browser, series) as page:
        page.tab.locator("#layer-1 .open").click()
        drawn(page.tab)
        assert page.tab.locator("tbody.opened figure h4").all_text_contents()[:2] == ["Spectra", TITLES["alpha"]]
        assert page.tab.evaluate(OVERLAPS) == []
        assert page.tab.evaluate(UNNAMED) == []
