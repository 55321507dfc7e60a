"""The page in a real browser: asked, read and left by keyboard, on a phone, and in the dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qa_core.artifacts import RunStore
from tests.browser import CHROMIUM, Page, browser, wait_until
from tests.integration.service import RUN, Service, running_service
from tests.small_run import PAPERS, publish_index, publish_reader

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(CHROMIUM is None, reason="no browser on this machine: apt-get install chromium"),
]

KEY = "a-key-of-enough-characters"
DENIED = "Consistent hashing does not move a small share of the keys when a node joins the ring."
DENIAL = f"Our tests ran for a week on nine machines. {DENIED}"
QUESTION = "Which keys does consistent hashing move when a node joins the ring?"
SHOWN = (
    "[...document.querySelectorAll('mark')].every((mark) => { const box = mark.getBoundingClientRect();"
    " return box.top >= 0 && box.bottom <= innerHeight; })"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    runs, work = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("work")
    store = RunStore.open(str(runs), RUN)
    publish_index(store, {**PAPERS, "notes/hashing.md": DENIAL})
    publish_reader(store, work)
    (work / "keys").write_text(KEY + "\n")
    with running_service(runs, "generation.max_tokens=96", f"serve.api_keys_file={work / 'keys'}") as service:
        yield service


@pytest.fixture(scope="module")
def new_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Page]]:
    with browser(tmp_path_factory.mktemp("browser")) as new_page:
        yield new_page


def open_page(service: Service, page: Page) -> None:
    """With the key given, as a person gives it."""
    page.open(service.url)
    wait_until(lambda: page.run("document.getElementById('key-dialog')?.open === true"), lambda: "no key was asked for")
    page.type(KEY)
    page.press("Enter")
    wait_until(lambda: page.run("document.getElementById('paper').options.length") == 5, lambda: "no papers are named")


def ask(page: Page, question: str, answers: int = 1) -> None:
    tab_to(page, "#question")
    page.type(question)
    page.press("Enter")
    ended = f"document.querySelectorAll('.cost:not(:empty)').length === {answers}"
    wait_until(lambda: page.run(ended), lambda: f"no answer: {page.text('#problem')!r} {page.text('#answers')!r}")
    page.run("document.getElementById('question').value = ''")


def tab_to(page: Page, selector: str) -> None:
    for _ in range(40):
        if page.run(f"document.activeElement.matches({selector!r})"):
            return
        page.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def contrast(page: Page, selector: str) -> float:
    """Of an element's text with what is behind it (WCAG 2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    colours = page.run(
        f"(() => {{ let element = document.querySelector({selector!r}); const text = getComputedStyle(element).color;"
        " const back = (one) => getComputedStyle(one).backgroundColor;"
        " while (/, 0\\)$/.test(back(element))) element = element.parentElement; return [text, back(element)]; })()"
    )
    dark, light = sorted(map(luminance, colours))
    return (light + 0.05) / (dark + 0.05)


def test_a_question_is_asked_and_its_citation_read_by_keyboard_alone(
    service: Service, new_page: Callable[[], Page], tmp_path: Path
) -> None:
    page = new_page()
    page.resize(1200, 900)
    open_page(service, page)
    ask(page, QUESTION)
    assert "a small share of the keys" in page.text(".text")
    assert page.run("document.getElementById('stop').hidden && !document.querySelector('[aria-busy]')")
    tab_to(page, ".cite")
    assert page.text("#preview")
    cited = page.run("document.activeElement.getAttribute('aria-label')")
    page.press("Enter")
    wait_until(lambda: page.text("mark") != "", lambda: f"no paper was opened: {page.text('#problem')}")
    assert cited.startswith("Citation ")
    assert page.text("mark") in {*PAPERS.values(), DENIAL}
    assert page.run(SHOWN)
    assert page.run("document.activeElement.id") == "paper-title"
    page.screenshot(tmp_path / "keyboard.png")
    page.press("Escape")
    assert page.run("document.getElementById('reader').hidden && document.activeElement.matches('.cite')")
    assert page.errors == ["Failed to load resource: the server responded with a status of 401 (Unauthorized)"]


def test_papers_that_disagree_are_shown_and_the_sentence_marked_in_its_paper(
    service: Service, new_page: Callable[[], Page], tmp_path: Path
) -> None:
    page = new_page()
    page.resize(1200, 900)
    open_page(service, page)
    ask(page, QUESTION)
    assert "The papers may disagree" in page.text(".conflicts")
    assert DENIED in page.text(".conflicts")
    page.screenshot(tmp_path / "conflict.png")
    said = page.run("[...document.querySelectorAll('.conflicts p')].map((said) => said.textContent)")
    place = next(place for place, text in enumerate(said, start=1) if DENIED in text)
    page.click(f".conflicts p:nth-of-type({place}) button")
    wait_until(lambda: page.text("mark") != "", lambda: "no paper was opened")
    assert page.text("mark") == DENIED
    assert "Our tests ran for a week" in page.text("#paper-text")


def test_both_answers_fit_on_a_phone_in_the_dark(
    service: Service, new_page: Callable[[], Page], tmp_path: Path
) -> None:
    page = new_page()
    page.resize(390, 844, phone=True, dark=True)
    open_page(service, page)
    page.click("[name=mode][value=both]")
    ask(page, QUESTION, answers=2)
    assert "with the papers" in page.text(".turn").lower()
    assert "without the papers" in page.text(".turn").lower()
    assert page.run("document.documentElement.scrollWidth") <= 390
    for selector in ("body", ".text", ".question", ".cite", ".citations button", ".support", ".cost", "#send"):
        assert contrast(page, selector) >= 4.5, selector
    page.screenshot(tmp_path / "phone.png")
    page.click(".citations button")
    wait_until(lambda: page.text("mark") != "", lambda: "no paper was opened")
    assert page.run("document.getElementById('reader').getBoundingClientRect().width") == 390
    assert page.run(SHOWN)
    assert contrast(page, "mark") >= 4.5
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    page.screenshot(tmp_path / "phone-paper.png")
    page.click("#close")
    assert page.run("document.getElementById('reader').hidden")
