"""The files of the dashboard."""

import gzip

import pytest

from chalicelib.api.dashboard import Dashboard, File, Redirect
from chalicelib.api.errors import AssetNotFound
from local.aws import ROOT

SCRIPT = "dashboard.js"
FOLDER = ROOT / "chalicelib" / "dashboard"


def test_the_page_refers_to_the_files_of_its_own_version() -> None:
    dashboard = Dashboard()

    page = dashboard.page("/")

    assert isinstance(page, File)
    assert (page.content_type, page.etag) == ("text/html; charset=utf-8", dashboard.version)
    assert f'src="assets/{dashboard.version}/dashboard.js"' in page.text
    assert "VERSION" not in page.text


@pytest.mark.parametrize(
    ("path", "location"), [("/prod", "./prod/"), ("/a/b", "./b/"), ("", ".//")]
)
def test_a_path_without_a_slash_at_its_end_redirects(path: str, location: str) -> None:
    assert Dashboard().page(path) == Redirect(location)


def test_an_asset_is_found_by_its_name_and_the_current_version() -> None:
    dashboard = Dashboard()

    style, script = (dashboard.asset(dashboard.version, name) for name in ("style.css", SCRIPT))

    assert style == File("text/css; charset=utf-8", (FOLDER / "style.css").read_text("utf-8"))
    assert script.content_type == "text/javascript; charset=utf-8"
    assert "visitAddress();" in script.text


@pytest.mark.parametrize(
    "name", ["app.py", "main", "main.js", "../api/dashboard.py", "..", "é", ""]
)
def test_no_other_file_is_an_asset(name: str) -> None:
    dashboard = Dashboard()

    with pytest.raises(AssetNotFound):
        dashboard.asset(dashboard.version, name)
    with pytest.raises(AssetNotFound):
        dashboard.asset("0" * 20, SCRIPT)


def test_the_dashboard_is_small() -> None:
    dashboard = Dashboard()
    names = (SCRIPT, "style.css", "icon.svg")
    texts = [dashboard.asset(dashboard.version, name).text for name in names]
    page = dashboard.page("/")

    assert isinstance(page, File)
    assert sum(len(gzip.compress(text.encode())) for text in (*texts, page.text)) < 40_000
