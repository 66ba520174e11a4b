"""The dashboard: its files as the API serves them, and what a person sees in a real browser."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chalice.local import LambdaEventConverter, RouteMatcher

from local.api import Api as Served
from local.aws import ROOT, LocalAws, Resources
from local.ports import free_port
from local.stacks import kept_token
from tests.integration.api.test_job_log import write
from tests.support.api_harness import Api
from tests.support.browser import PROGRAM, Browser, Page
from tests.support.builders import NOON, QUEUE_ARN, a_body, a_job_id, an_attempt
from tests.support.injection_samples import INJECTIONS
from tests.support.page_server import NO_JOBS, PageServer
from tests.support.recorder_harness import RecorderHarness

FOLDER = ROOT / "chalicelib" / "dashboard"
QUEUE = "high-priority"

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no Chromium or Chrome here")


# As the API serves it


def test_the_page_and_all_that_it_refers_to_need_no_token(api: Api) -> None:
    page = api.response("/", token=None)
    names = re.findall(r'(?:src|href)="(assets/[^"]+)"', page.body.decode())

    answers = {name: api.response(f"/{name}", token=None) for name in names}

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert {name.rpartition("/")[2] for name in names} == {
        path.name for path in FOLDER.iterdir() if path.name != "index.html"
    }
    assert {answer.status_code for answer in answers.values()} == {200}
    for name, answer in answers.items():
        assert answer.body.decode() == (FOLDER / name.rpartition("/")[2]).read_text("utf-8")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_the_page_is_asked_for_again_each_time_and_sent_only_if_it_changed(api: Api) -> None:
    first = api.response("/", token=None)
    again = api.response("/", token=None, if_none_match=first.headers["ETag"])

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["app.py", "main", "..%2Fapi%2Fpage.py", "%2e%2e", "é"])
def test_nothing_but_the_files_of_the_page_is_an_asset(api: Api, name: str) -> None:
    version = api.response("/", token=None).headers["ETag"][3:-1]

    assert api.response(f"/assets/{version}/{name}", token=None).status_code == 404
    assert api.response(f"/assets/{'0' * 20}/main.js", token=None).status_code == 404


def test_the_page_lets_a_browser_load_and_run_nothing_but_itself(api: Api) -> None:
    policy = api.response("/", token=None).headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("asked", "status", "location"), [("/prod", 302, "./prod/"), ("/prod/", 200, None)]
)
def test_an_address_without_its_last_slash_leads_to_the_one_with_it(
    api: Api, asked: str, status: int, location: str | None
) -> None:
    """As API Gateway calls the function: the stage is in the context's path alone."""
    event = LambdaEventConverter(RouteMatcher(list(api.app.routes))).create_lambda_event(
        method="GET", path="/", headers={}, body=b""
    )
    event["requestContext"]["path"] = asked

    answer = api.app(event, None)

    assert answer["statusCode"] == status
    assert answer["headers"].get("Location") == location


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 60_000


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def token(aws: LocalAws, resources: Resources, tmp_path: Path) -> str:
    return kept_token(aws, resources.secret_id, tmp_path / "token")


@pytest.fixture
def served(aws: LocalAws, resources: Resources, token: str, tmp_path: Path) -> Iterator[Served]:
    """The real API and page, as `chalice local` serves them."""
    with Served(free_port(), aws, token, tmp_path / "api.log") as served:
        yield served


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.page() as page:
        yield page
        assert page.errors == []
        assert page.dialogs == []
        assert len(page.hosts) == 1


def sign_in(page: Page, address: str, token: str = "any") -> None:
    page.open(address)
    page.type("API token", token)
    page.enter()
    page.wait_for("!document.querySelector('#token, .loading')")


def rfc3339(seconds_ago: float = 0) -> str:
    moment = datetime.fromtimestamp(time.time() - seconds_ago, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@needs_browser
def test_a_person_signs_in_once_and_comes_to_where_the_link_led(
    page: Page, served: Served, stand: RecorderHarness, token: str
) -> None:
    job_id = a_job_id()
    stand.record([a_body(jobId=job_id, jobName="linked", status="SUCCEEDED")])

    page.open(f"{served.url}/#/jobs/{job_id}")
    page.type("API token", "made-up")
    page.enter()
    page.wait_for_text("This token is not let in.")
    page.type("API token", token)
    page.enter()
    page.wait_for_text("linked", "SUCCEEDED")
    page.run("location.reload()")
    page.wait_for_text("linked", "SUCCEEDED")

    assert page.run("localStorage.length") == 0
    assert not any(token in url for url in page.requests)
    page.click("Sign out")
    page.wait_for_text("API token")
    assert page.run("sessionStorage.length") == 0


@needs_browser
def test_a_token_that_was_taken_back_leads_to_the_sign_in_page(
    page: Page, served: Served, aws: LocalAws, resources: Resources
) -> None:
    page.open(f"{served.url}/#/jobs")
    page.wait_for_text("API token")

    page.run("localStorage.setItem('batchwatch.token', 'taken-back')")
    page.run("location.reload()")

    page.wait_for_text("The token that was used here is not let in")
    assert page.run("localStorage.length") == 0


@needs_browser
def test_jobs_are_filtered_by_an_address_that_can_be_shared_and_gone_back_from(
    page: Page, served: Served, stand: RecorderHarness, token: str
) -> None:
    stand.record(
        [
            a_body(jobName="align-1", status="FAILED", attempts=[an_attempt()]),
            a_body(jobName="align-2", status="SUCCEEDED"),
            a_body(jobName="other", status="FAILED", attempts=[an_attempt()]),
        ]
    )
    sign_in(page, f"{served.url}/#/jobs", token)
    page.wait_for_text("align-1", "align-2", "other")

    page.click("FAILED")
    page.wait_for("!document.querySelector('main').innerText.includes('align-2')")
    page.wait_for_text("align-1", "other")
    page.type("Name begins with", "align")
    page.enter()
    page.wait_for("!document.querySelector('main').innerText.includes('other')")
    page.wait_for_text("align-1")

    assert page.address.endswith("#/jobs?status=FAILED&name=align")
    page.run("history.go(-2)")
    page.wait_for_text("align-1", "align-2", "other")


@needs_browser
def test_a_long_list_goes_on_with_more(
    page: Page, served: Served, stand: RecorderHarness, token: str
) -> None:
    stand.record([a_body(jobName=f"n-{n}", at=NOON + n) for n in range(30)])
    sign_in(page, f"{served.url}/#/jobs", token)
    page.wait_for("document.querySelectorAll('tbody tr').length === 25")

    page.click("More")

    page.wait_for("document.querySelectorAll('tbody tr').length === 30")
    page.wait_for("!toClick('More')")


@needs_browser
def test_a_failed_job_shows_why_its_attempts_and_the_end_of_its_log(
    page: Page, served: Served, stand: RecorderHarness, aws: LocalAws, token: str
) -> None:
    job_id = a_job_id()
    write(aws, "def/default/2", ["loading the genome", "FunctionCrashed"])
    reason = "OutOfMemoryError: Container killed due to memory usage"
    container = {"exitCode": 137, "reason": reason, "logStreamName": "def/default/2"}
    spot = "Host EC2 (instance i-0abc) terminated."
    attempts = [an_attempt(statusReason=spot), an_attempt(container=container)]
    fields = {"jobId": job_id, "container": {"image": "align:1.4"}, "tags": {"project": "atlas"}}
    stand.record(
        [
            a_body(status="RUNNABLE", at=NOON, **fields),
            a_body(status="FAILED", at=NOON + 90_000, attempts=attempts, **fields),
        ]
    )

    sign_in(page, f"{served.url}/#/jobs/{job_id}", token)
    page.wait_for_text("Out of memory", "Give the job more memory", "Spot interruption", reason)
    page.wait_for_text("RUNNABLE", "1 min 30 s", "align:1.4", "atlas")
    page.click("Log of attempt 2")

    page.wait_for_text("loading the genome", "FunctionCrashed")
    assert "CloudWatch log" in page.text
    assert page.run("document.querySelector('main').textContent.includes('undefined')") is False


@needs_browser
def test_a_waiting_job_shows_why_and_is_followed_until_it_ends(
    page: Page, served: Served, stand: RecorderHarness, token: str
) -> None:
    job_id = a_job_id()
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large"
    stand.record([a_body(jobId=job_id, statusReason=reason)])
    sign_in(page, f"{served.url}/#/jobs/{job_id}", token)
    page.wait_for_text("no instance type is large enough", "too large", "follows along")

    stand.record([a_body(jobId=job_id, status="SUCCEEDED", at=NOON + 60_000)])

    page.wait_for_text("Succeeded")
    page.wait_for("document.getElementById('news').textContent === 'The job is now SUCCEEDED'")


@needs_browser
def test_the_children_of_an_array_are_listed_by_status(
    page: Page, served: Served, stand: RecorderHarness, token: str
) -> None:
    root = a_job_id()
    summary = {"size": 3, "statusSummary": {"FAILED": 1, "SUCCEEDED": 2}}
    stand.record(
        [
            a_body(jobId=root, status="FAILED", arrayProperties=summary),
            *(
                a_body(jobId=f"{root}:{n}", status="FAILED" if n == 1 else "SUCCEEDED")
                for n in range(3)
            ),
        ]
    )
    sign_in(page, f"{served.url}/#/jobs/{root}", token)
    page.wait_for_text("align :0", "align :1", "align :2")

    page.run("fieldOf('Status').value = 'FAILED'")
    page.run("fieldOf('Status').dispatchEvent(new Event('change'))")
    page.wait_for("!document.querySelector('main').innerText.includes('align :0')")
    page.click("align :1")

    page.wait_for_text("its parent")
    assert page.address.endswith(f"#/jobs/{root}%3A1")


@needs_browser
def test_hostile_text_is_shown_and_never_obeyed(page: Page) -> None:
    """In every place where somebody else's words come to be, all at once."""
    words = " ".join(
        [
            "<img src=x onerror=alert(1)>",
            "<script>alert(1)</script>",
            "javascript:alert(1)",
            *INJECTIONS,
        ]
    )
    words = words.encode("utf-8", "replace").decode()
    job = a_job(jobName=words, statusReason=words, parameters={words: words}, tags={words: words})
    job["failure"] = {"cause": "EXIT_CODE", "explanation": words}
    job["container"] |= {"image": words, "command": [words], "environment": [{"name": words}]}
    job["links"] = {"console": "javascript:alert(1)", "logs": words}
    job["attempts"] = [an_ended_attempt(reason=words, statusReason=words)]
    answers = {
        "jobs/hostile": job,
        "jobs": {"jobs": [job], "nextToken": None},
        "jobs/hostile/children": {"jobs": [job], "nextToken": None},
        "jobs/hostile/logs": {
            "jobId": "hostile",
            "attempt": 1,
            "logGroup": words,
            "logStreamName": words,
            "lines": [{"at": rfc3339(), "message": words}],
        },
    }
    with PageServer(answers) as server:
        sign_in(page, f"{server.url}#/jobs")
        page.wait_for("document.querySelector('main').textContent.includes('onerror=alert(1)')")

        page.run("location.hash = '#/jobs/hostile'")
        page.click("Log of attempt 1")
        page.wait_for("document.querySelector('pre')?.textContent.includes('onerror=alert(1)')")

        assert page.run("document.querySelectorAll('main :is(img, script, b > b)').length") == 0
        assert page.run("[...document.links].every(({ protocol }) => /^https?:$/.test(protocol))")


@needs_browser
def test_a_queue_shows_what_blocks_it_and_how_the_last_day_went(page: Page) -> None:
    blocked = a_queue("gpu", blocked=BLOCKED)
    hours = [{"hour": f"{rfc3339()[:13]}:00:00.000Z", "succeeded": 5, "failed": 2}]
    nothing = {**blocked["lastDay"], "succeeded": 0, "failed": 0}
    eventful = [{"day": f"2026-11-{day}", **blocked["lastDay"]} for day in (22, 24)]
    days = [{"day": "2026-11-21", **nothing}, *eventful]
    answers = {
        "queues": {"queues": [a_queue("spot"), blocked]},
        "queues/gpu": {**blocked, "hours": hours, "days": days},
    }
    with PageServer(answers) as server:
        sign_in(page, f"{server.url}#/")
        page.wait_for_text("spot", "blocked for", "AWS has no capacity for it", "1,412")
        page.click("gpu")
        page.wait_for_text(
            "gpu is blocked: AWS has no capacity for it", "Half", "31 min", "Why jobs failed"
        )

    assert "Cost (an estimate)\n401.2 USD, 12.5 of it for nothing" in page.text
    assert page.run(DAYS) == ["2026-11-24", "2026-11-22"]
    assert page.run("document.querySelector('figure svg').ariaLabel") == (
        "Jobs that ended, by the hour: 5 succeeded, 2 failed"
    )


@needs_browser
def test_a_job_shows_what_it_used_and_what_that_cost(page: Page) -> None:
    with PageServer({"jobs/4c75": a_job(), "jobs/4c75/children": NO_JOBS}) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")
        page.wait_for_text("0.067 vCPU h, 1.2 GB h", "Cost (an estimate)", "0.0039 USD")


@needs_browser
def test_the_job_of_a_blocked_queue_tells_of_it(page: Page) -> None:
    job = a_job(status="RUNNABLE", waiting={"cause": None, "explanation": "It waits."})
    answers = {
        "jobs/4c75": job,
        "jobs/4c75/children": NO_JOBS,
        f"queues/{QUEUE}": a_queue(QUEUE, blocked=BLOCKED),
    }
    with PageServer(answers) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")

        page.wait_for_text(f"{QUEUE} is blocked: AWS has no capacity for it", "the job at its head")


@needs_browser
@pytest.mark.parametrize(
    ("hash", "answers", "words"),
    [
        ("#/jobs", {}, "No job was heard of yet"),
        ("#/jobs?name=x", {}, "No job matches."),
        ("#/jobs/gone", {"jobs/gone": 404}, "Nothing found"),
        ("#/jobs/a", {"jobs/a": 503}, "The API has a problem"),
        ("#/queues/gpu", {}, "This API has no such route yet."),
        ("#/", {"queues": {"queues": []}}, "No queue was"),
        ("#/nowhere", {}, "There is no such page."),
        ("#/jobs/%E0%A4%A", {}, "This API has no such route yet."),
    ],
)
def test_there_is_always_something_to_read(
    page: Page, hash: str, answers: dict[str, Any], words: str
) -> None:
    with PageServer(answers) as server:
        sign_in(page, server.url + hash)

        page.wait_for_text(words)


@needs_browser
def test_an_api_that_is_gone_is_told(page: Page) -> None:
    with PageServer({}) as server:
        sign_in(page, f"{server.url}#/jobs")
        page.wait_for_text("No job was heard of yet")

    page.click("Refresh")

    page.wait_for_text("The API does not answer")


@needs_browser
def test_the_keyboard_alone_leads_to_a_job(page: Page) -> None:
    answers = {
        "jobs": {"jobs": [a_job()], "nextToken": None},
        "jobs/4c75": a_job(),
        "jobs/4c75/children": NO_JOBS,
    }
    with PageServer(answers) as server:
        sign_in(page, f"{server.url}#/jobs")
        page.wait_for_text("align")

        for _ in range(60):
            page.tab()
            if page.run("document.activeElement.innerText") == "align":
                break
        page.enter()

        page.wait_for_text("History")
        assert page.run("document.activeElement.id") == "main"
        assert page.run("document.title") == "align FAILED · batchwatch"


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_text_can_be_read_and_nothing_is_wider_than_the_screen(
    browser: Browser, dark: bool, width: int
) -> None:
    """WCAG's contrast of 4.5; `faint` are the texts that have less."""
    queue = a_queue("gpu", blocked=BLOCKED)
    jobs = [a_job(jobId=str(n), status=status) for n, status in enumerate(STATUSES)]
    waiting = a_job(status="RUNNABLE", waiting={"cause": None, "explanation": "It waits."})
    answers = {
        "jobs": {"jobs": jobs, "nextToken": None},
        "jobs/4c75": a_job(),
        "jobs/5d86": waiting,
        "jobs/4c75/children": {"jobs": jobs, "nextToken": None},
        "jobs/5d86/children": NO_JOBS,
        "queues": {"queues": [queue]},
        "queues/gpu": {**queue, "hours": [], "days": []},
    }
    with PageServer(answers) as server, browser.page(dark=dark, width=width) as page:
        sign_in(page, f"{server.url}#/")
        for view in ("", "jobs?status=FAILED", "jobs/4c75", "jobs/5d86", "queues/gpu", "jobs/none"):
            page.run(f"location.hash = '#/{view}'")
            page.wait_for("!document.querySelector('.loading') && document.querySelector('h1, h2')")

            assert page.run(FAINT) == [], view
            assert page.run("document.documentElement.scrollWidth") <= width, view


DAYS = """
[...[...document.querySelectorAll("table")].at(-1).tBodies[0].rows]
  .map((row) => row.cells[0].innerText)
"""

FAINT = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => {
    const [r, g, b] = rgba(color).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return rgba(color)[3] === 255 || !element.parentElement ? color : ground(element.parentElement);
  };
  const contrast = (element) => {
    const both = [getComputedStyle(element).color, ground(element)].map(luminance);
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  };
  const says = (element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  return [...document.body.querySelectorAll("*")]
    .filter((element) => says(element) && element.checkVisibility() && contrast(element) < 4.5)
    .map((element) => `${element.outerHTML.slice(0, 100)} ${contrast(element)}`);
})()
"""


# What the stand-in for the API says

STATUSES = ("SUBMITTED", "SCHEDULED", "RUNNING", "SUCCEEDED", "FAILED", "UNKNOWN", "HIBERNATING")

BLOCKED = {
    "since": rfc3339(5_000),
    "lastSeen": rfc3339(100),
    "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfil the request",
    "cause": "AWS has no capacity for it",
    "explanation": "AWS has no free instance. It may have one later.",
    "jobId": "00000000-0000-4000-8000-000000000000",
}


def a_queue(name: str, **fields: Any) -> dict[str, Any]:
    counts = ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING")
    wasted = {"vcpuHours": 120.2, "gbHours": 300, "gpuHours": 0}
    return {
        "jobQueue": name,
        "asOf": rfc3339(130),
        "counts": dict.fromkeys(counts, 3),
        "countsAreAtLeast": False,
        "lastDay": {
            "succeeded": 1412,
            "failed": 37,
            "causes": {"EXIT_CODE": 20, "OUT_OF_MEMORY": 17},
            "waitSeconds": {"p50": 240, "p90": 1860, "p99": 7200},
            "runSeconds": {"p50": 1840, "p90": 9000, "p99": 40_000},
            "use": {"vcpuHours": 8123.4, "gbHours": 30_211, "gpuHours": 0, "wasted": wasted},
            "cost": {"estimate": 401.22, "wasted": 12.5, "currency": "USD"},
        },
        "blocked": None,
        **fields,
    }


def a_job(**fields: Any) -> dict[str, Any]:
    status = fields.get("status", "FAILED")
    failed = {"cause": "OUT_OF_MEMORY", "explanation": "It used too much memory."}
    return {
        "jobId": "4c75",
        "jobName": "align",
        "jobQueue": QUEUE,
        "jobQueueArn": QUEUE_ARN,
        "jobDefinition": None,
        "status": status,
        "statusReason": "Essential container in task exited",
        "since": rfc3339(60),
        "createdAt": rfc3339(600),
        "startedAt": rfc3339(300),
        "stoppedAt": rfc3339(60),
        "durations": {
            "queuedSeconds": 200,
            "startingSeconds": 40,
            "runningSeconds": 240,
            "totalSeconds": 540,
        },
        "failure": failed if status == "FAILED" else None,
        "array": {"size": 2, "index": None, "statusSummary": {"FAILED": 2}},
        "links": {"console": "https://example.com/", "logs": None},
        "history": [
            {"status": "RUNNABLE", "attempt": None, "at": rfc3339(500), "source": "event"},
            {"status": status, "attempt": 1, "at": rfc3339(60), "source": "repair"},
        ],
        "attempts": [an_ended_attempt()],
        "container": {
            "image": "align:1",
            "command": ["align"],
            "vcpus": 2,
            "memory": 2000,
            "gpus": None,
            "environment": [{"name": "K", "value": "REDACTED"}],
        },
        "parameters": {},
        "tags": {"project": "atlas"},
        "use": {"vcpuHours": 0.06667, "gbHours": 1.2, "gpuHours": 0},
        "cost": {"estimate": 0.003884, "wasted": 0, "currency": "USD"},
        "waiting": None,
        **fields,
    }


def an_ended_attempt(**fields: Any) -> dict[str, Any]:
    return {
        "attempt": 1,
        "startedAt": rfc3339(300),
        "stoppedAt": rfc3339(60),
        "exitCode": 137,
        "reason": "OutOfMemoryError: Container killed",
        "statusReason": "Essential container in task exited",
        "logStreamName": "def/default/1",
        "cause": "OUT_OF_MEMORY",
        **fields,
    }
