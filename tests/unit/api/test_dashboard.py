"""The files of the dashboard."""

import gzip

import pytest

from chalicelib.api.dashboard import Dashboard, File, Redirect
from chalicelib.api.errors import AssetNotFound
from local.aws import ROOT

FOLDER = ROOT / "chalicelib" / "dashboard"


def test_the_page_refers_to_the_files_of_its_own_version() -> None:
    dashboard = Dashboard()

    page = dashboard.page("/")

    assert isinstance(page, File)
    assert (page.content_type, page.etag) == ("text/html; charset=utf-8", dashboard.version)
    assert f'src="assets/{dashboard.version}/main.js"' in page.text
    assert "VERSION" not in page.text


@pytest.mark.parametrize(
    ("path", "location"), [("/prod", "./prod/"), ("/a/b", "./b/"), ("", ".//")]
)
def test_a_path_without_a_slash_at_its_end_redirects(path: str, location: str) -> None:
    assert Dashboard().page(path) == Redirect(location)


def test_an_asset_is_found_by_its_name_and_the_current_version() -> None:
    dashboard = Dashboard()

    file = dashboard.asset(dashboard.version, "main.js")

    assert file == File(
        "text/javascript; charset=utf-8", (FOLDER / "main.js").read_text("utf-8"), None
    )


@pytest.mark.parametrize("name", ["app.py", "main", "../api/dashboard.py", "..", "é", ""])
def test_no_other_file_is_an_asset(name: str) -> None:
    dashboard = Dashboard()

    with pytest.raises(AssetNotFound):
        dashboard.asset(dashboard.version, name)
    with pytest.raises(AssetNotFound):
        dashboard.asset("0" * 20, "main.js")


def test_the_dashboard_is_small() -> None:
    assert sum(len(gzip.compress(file.read_bytes())) for file in FOLDER.iterdir()) < 40_000
