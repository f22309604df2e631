"""The page in a real browser without a screen: it opens, pictures load, tables sort, nothing leaves it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

VARIABLE = "ISTHMUS_TEST_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium, from `ISTHMUS_TEST_BROWSER` or the path."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: install chromium, or let {VARIABLE} name one")
    # No sandbox: containers run as root without user namespaces, and the pages are our own.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page_file(draw, gate_examples) -> Path:
    third = gate_examples.example_evidence(version=1, sha256="1" * 64, right=0.6)
    return draw(gate_examples.example_judgement(passed=False), source_only=third)


@pytest.fixture
def opened(browser, page_file: Path) -> Iterator[object]:
    """The page at a phone's width; fails afterwards where it complained or asked for anything beside itself."""
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    yield page
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [page_file.as_uri()]


def column(page, table: str, number: int) -> list[str]:
    """Texts of a column, from the top."""
    return page.locator(f'[aria-label="{table}"] tbody tr > :nth-child({number})').all_inner_texts()


def test_pictures_load(opened):
    widths = opened.evaluate("Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))")
    assert widths == [64] * 10
    charts = opened.evaluate("[...document.querySelectorAll('figure > svg')].map(s => s.getBoundingClientRect().width)")
    assert len(charts) == 7
    assert min(charts) > 100


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(opened, width: int):
    opened.set_viewport_size({"width": width, "height": 740})
    opened.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    wide = opened.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


def test_tables_sort_both_ways(opened):
    table = "Largest confusions on camvid/val"
    assert column(opened, table, 1)[0] == "sky"
    head = opened.locator(f'[aria-label="{table}"] th', has_text="true")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    names = column(opened, table, 1)
    assert names == sorted(names)
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(opened, table, 1) == sorted(names, reverse=True)


def test_numbers_sort_as_numbers_and_unknown_ones_last(opened):
    rules = "All rules"
    opened.locator(f'[aria-label="{rules}"] th', has_text="required").get_by_role("button").click()
    assert column(opened, rules, 5)[:2] == ["at least 40.00 %", "at least 60.00 %"]
    bins = "Calibration on camvid/val"
    head = opened.locator(f'[aria-label="{bins}"] th', has_text="confidence").get_by_role("button")
    head.click()
    head.click()
    assert column(opened, bins, 1) == ["95.0", "45.0"]
    shares = "Distances between domains"
    head = opened.locator(f'[aria-label="{shares}"] th', has_text="distance").get_by_role("button")
    for _ in range(2):
        head.click()
        assert column(opened, shares, 4) == ["0.500", "–"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(opened, scheme: str):
    opened.emulate_media(color_scheme=scheme)
    ratio = opened.evaluate(
        """() => {
          const light = (name) => {
            const probe = document.body.appendChild(document.createElement("i"));
            probe.style.color = `var(${name})`;
            const parts = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
            probe.remove();
            const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
            const [r, g, b] = parts.map((v) => linear(v / 255));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
          const inks = ["--ink", "--soft", "--accent", "--failed", "--missing", "--passed"];
          return Math.min(...["--paper", "--card"].flatMap((paper) => inks.map((ink) => ratio(ink, paper))));
        }"""
    )
    assert ratio >= 4.5  # WCAG 2.2, 1.4.3


def test_page_reads_without_scripts(browser, page_file: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator("th button").count() == 0
    assert column(page, "All rules", 2)[0] == "mIoU floor"
    context.close()
