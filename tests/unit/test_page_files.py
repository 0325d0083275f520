"""The page's files: nothing from elsewhere, nothing read as HTML, and nothing named that is not there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "kbqa_agent" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
STYLES = sorted(STATIC.glob("*.css"))
READS_HTML = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc"
RUNS_TEXT = r"\beval\(|new Function|javascript:|setTimeout\(['\"`]"


class Page(HTMLParser):
    """Collects a page's elements."""

    def __init__(self):
        super().__init__()
        self.elements = []
        self.feed((STATIC / "index.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def elements():
    return Page().elements


def code(path):
    return re.sub(r"^\s*(//|/?\*).*", "", path.read_text(encoding="utf-8"), flags=re.M)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_reads_html_or_runs_text(path):
    assert re.findall(f"{READS_HTML}|{RUNS_TEXT}", code(path)) == []


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?://|[\"'(]//|@import", text) == []


def test_the_page_has_no_style_and_no_script_within(elements):
    assert [attributes for tag, attributes in elements if tag == "script" and "src" not in attributes] == []
    assert [tag for tag, _ in elements if tag == "style"] == []
    assert [a for _, attributes in elements for a in attributes if a == "style" or a.startswith("on")] == []


def test_all_files_that_are_named_are_there_and_the_other_way_round(elements):
    named = {a.get("src") or a.get("href") for tag, a in elements if tag in ("script", "link")}
    imported = {f"static/{name}" for path in SCRIPTS for name in re.findall(r'from "\./(.+)"', code(path))}
    assert named | imported == {f"static/{path.name}" for path in STATIC.iterdir() if path.name != "index.html"}


def test_all_places_that_scripts_name_are_in_the_page(elements):
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = {name for path in SCRIPTS for name in re.findall(r'\$\("([^"]+)"\)', code(path))}
    assert named - set(ids) == set()


def test_all_words_are_there_and_used(elements):
    text = (STATIC / "i18n.js").read_text(encoding="utf-8")
    words = set(re.findall(r"^  (\w+): \[", text, re.M))
    used = {v for _, a in elements for k, v in a.items() if k in ("data-text", "data-label", "data-placeholder")}
    everything = "\n".join(code(path) for path in SCRIPTS if path.name != "i18n.js")
    assert used | set(re.findall(r'\bt\("(\w+)"', everything)) <= words
    reasons = {"no_entity", "no_attribute", "low_confidence"}  # named by the server
    assert {word for word in words - used - reasons if not re.search(rf'"{word}"', everything)} == set()


def test_all_styles_are_used(elements):
    classes = {name for path in STYLES for name in re.findall(r"\.([a-z][\w-]*)(?=[\s:,.\[>)])", code(path))}
    everything = "\n".join(code(path) for path in SCRIPTS) + (STATIC / "index.html").read_text(encoding="utf-8")
    assert [name for name in sorted(classes) if not re.search(rf"\b{re.escape(name)}\b", everything)] == []


def test_files_are_short():
    assert [path.name for path in STATIC.iterdir() if len(path.read_text(encoding="utf-8").splitlines()) > 300] == []
