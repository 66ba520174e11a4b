"""Every way into batchwatch, and nothing else: what AWS and people call, and what answers."""

from functools import partial
from typing import Any

from chalice.app import (
    AuthRequest,
    AuthResponse,
    Chalice,
    CloudWatchEvent,
    Rate,
    Response,
    SQSEvent,
)

from chalicelib import bootstrap as bootstrap
from chalicelib.api import http
from chalicelib.aws.lambda_event import account_of, messages_in, seconds_left

settings = bootstrap.settings
app = Chalice(app_name="batchwatch", configure_logs=False)


@app.on_sqs_message(
    queue=settings.events_queue,
    batch_size=settings.batch_size,
    maximum_batching_window_in_seconds=settings.batch_window,
)
def on_batch_events(event: SQSEvent) -> None:
    recorder = bootstrap.recorder(account_of(event.context))
    recorder.record(messages_in(event.to_dict()), seconds_left(event.context))


@app.on_sqs_message(
    queue=settings.notices_queue,
    batch_size=100,
    maximum_batching_window_in_seconds=settings.batch_window,
    maximum_concurrency=2,
)
def on_notices(event: SQSEvent) -> None:
    bootstrap.notifier().notify(messages_in(event.to_dict()), seconds_left(event.context))


@app.schedule(Rate(settings.sweep_minutes, unit=Rate.MINUTES))
def sweep(event: CloudWatchEvent) -> dict[str, Any]:
    """`make backfill` calls it too, with a `step` and `since` in the detail."""
    asked = event.detail
    return bootstrap.sweeper().run(
        seconds_left(event.context), asked.get("since"), asked.get("step")
    )


@app.authorizer(ttl_seconds=30)
def authorize(request: AuthRequest) -> AuthResponse:
    return http.authorization(request, bootstrap.access(), bootstrap.report())


public = app.route
private = partial(app.route, authorizer=authorize)
answer = partial(http.answer, app, bootstrap.access)


@public("/")
def show_page() -> Response:
    return http.page(app, bootstrap.dashboard())


@public("/assets/{version}/{name}")
def get_asset(version: str, name: str) -> Response:
    return http.asset(bootstrap.dashboard(), version, name)


@public("/health")
def health() -> Response:
    return http.health(bootstrap.health())


@private("/jobs")
def list_jobs() -> Response:
    return answer(lambda scope: bootstrap.jobs().page(http.query(app), scope))


@private("/jobs/{job_id}")
def get_job(job_id: str) -> Response:
    query, known = http.query(app), http.versions(app)
    return answer(lambda scope: bootstrap.jobs().one(job_id, query, scope, known))


@private("/jobs/{job_id}/children")
def list_children(job_id: str) -> Response:
    return answer(lambda scope: bootstrap.jobs().children(job_id, http.query(app), scope))


@private("/jobs/{job_id}/logs")
def get_logs(job_id: str) -> Response:
    return answer(lambda scope: bootstrap.jobs().logs(job_id, http.query(app), scope))


@private("/queues")
def list_queues() -> Response:
    return answer(lambda scope: bootstrap.queues().all(http.query(app), scope))


@private("/queues/{queue}")
def get_queue(queue: str) -> Response:
    return answer(lambda scope: bootstrap.queues().one(queue, http.query(app), scope))


@private("/openapi.json")
def describe() -> Response:
    return answer(lambda scope: bootstrap.description())
