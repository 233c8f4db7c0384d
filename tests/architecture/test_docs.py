"""What the documents say exists, exists; what exists is in the documents."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from marketdata.topics import TOPICS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    lines = README.splitlines()
    assert len(lines) < 120
    first = "\n".join(lines[:15])
    assert "make demo" in first
    assert "make test" in first


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_in_the_documents_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`|    )make ([a-z-]+)", page.read_text(encoding="utf-8")))
    assert named - targets == set()


def test_every_tapedeck_command_in_the_documents_exists() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:`|bin/)tapedeck ([a-z]+)", text))
    done = subprocess.run(
        [sys.executable, "-m", "tapedeck", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "", "HOME": str(ROOT)},
    )
    commands = set(re.findall(r"^\W*([a-z]+)\s{2,}", done.stdout, re.MULTILINE))
    assert named
    assert named - commands == set()


def test_every_topic_is_described() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in TOPICS if f"`{name}`" not in text] == []


def test_make_lists_nothing_that_it_cannot_do() -> None:
    done = subprocess.run(
        [shutil.which("make") or "make", "-n", "check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for tool in ("ruff", "mypy", "lint-imports"):
        assert tool in done.stdout
