"""Links of the documentation resolve, and every decision has a number, a date and a status."""

import json
import re
from pathlib import Path

import pytest

from chalicelib import telemetry
from local.aws import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def text_of(page: Path) -> str:
    """Return a page's text without its code blocks."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def links_of(page: Path) -> list[str]:
    """Return the targets of a page's links to files and headings of this repository."""
    targets = LINK.findall(CODE.sub("", text_of(page)))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors_of(page: Path) -> set[str]:
    """Return the fragments of a page's headings, as GitHub generates them."""
    headings = HEADING.findall(text_of(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page: Path) -> None:
    for target in links_of(page):
        path, _, fragment = target.partition("#")
        linked = (page.parent / path).resolve() if path else page

        assert linked.is_relative_to(ROOT), target
        assert linked.exists(), target
        assert not fragment or fragment in anchors_of(linked), target


def test_the_readme_links_to_every_page_and_shows_its_pictures() -> None:
    links = set(links_of(ROOT / "README.md"))
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}

    assert pages - {link.partition("#")[0] for link in links} == set()
    assert {"docs/overview.png", "docs/dashboard.png", "docs/notice.png"} <= links


def test_every_decision_has_a_number_a_date_and_a_status() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))

    for number, decision in enumerate(decisions, 1):
        assert decision.name.startswith(f"{number:04}-")
        assert re.match(
            rf"# {number}\. \S.*\n\nDate: 20\d\d-\d\d-\d\d\. Status: (accepted|superseded)",
            decision.read_text(encoding="utf-8"),
        ), decision.name


def test_the_costs_are_those_of_the_published_metrics_and_alarms() -> None:
    metrics = telemetry.PUBLISHED
    template = json.loads((ROOT / "infra" / "resources.json").read_text(encoding="utf-8"))
    types = [resource["Type"] for resource in template["Resources"].values()]
    alarms = types.count("AWS::CloudWatch::Alarm")

    costs = text_of(ROOT / "docs" / "costs.md")

    assert (
        f"| CloudWatch metrics: {len(metrics)} names | $0.30 each | {len(metrics) * 0.3:.2f} |"
        in costs
    )
    assert f"| CloudWatch alarms: {alarms} | $0.10 each | {alarms * 0.1:.2f} |" in costs
    assert f"{len(metrics)} metrics, {alarms} alarms" in text_of(ROOT / "README.md")
