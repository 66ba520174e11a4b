"""Every entry point: the events that invoke batchwatch's functions, and the routes of its API."""

import os

from chalice.app import (
    AuthRequest,
    AuthResponse,
    Chalice,
    CloudWatchEvent,
    Rate,
    SQSEvent,
)

from chalicelib.api.dashboard import File, Redirect
from chalicelib.api.errors import (
    AllSlotsTaken,
    AssetNotFound,
    JobNotFound,
    LogNotFound,
    LogUnavailable,
    QueueNotFound,
)
from chalicelib.api.health import HealthBody
from chalicelib.api.parameters.queries import (
    ChildrenQuery,
    JobQuery,
    JobsQuery,
    LogQuery,
    NoParameters,
    QueuesQuery,
)
from chalicelib.api.representation.body import Versioned
from chalicelib.api.representation.job import JobBody, JobPage
from chalicelib.api.representation.log import LogBody
from chalicelib.api.representation.queue import QueueBody, QueueList
from chalicelib.api.routes import Request, Routes
from chalicelib.api.routes import authorize as authorize_token
from chalicelib.aws.lambda_event import account_of, messages_in, seconds_left
from chalicelib.bootstrap import Container

container = Container.from_environment(os.environ)
container.clients.build_for(os.environ.get("_HANDLER", ""))
settings = container.settings
app = Chalice(app_name="batchwatch", configure_logs=False)


@app.on_sqs_message(
    queue=settings.events_queue,
    batch_size=settings.batch_size,
    maximum_batching_window_in_seconds=settings.batch_window,
)
def on_batch_events(event: SQSEvent) -> None:
    container.account_id = container.account_id or account_of(event.context)
    container.recorder.record(messages_in(event.to_dict()), seconds_left(event.context))


@app.on_sqs_message(
    queue=settings.notices_queue,
    batch_size=100,
    maximum_batching_window_in_seconds=settings.batch_window,
    maximum_concurrency=2,
)
def on_notices(event: SQSEvent) -> None:
    container.notifier.notify(messages_in(event.to_dict()), seconds_left(event.context))


@app.schedule(Rate(settings.sweep_minutes, unit=Rate.MINUTES))
def sweep(event: CloudWatchEvent) -> dict[str, object]:
    """Run a sweep. `make backfill` invokes it with `since` and `step` in the detail."""
    detail = event.detail
    return container.sweep.run(seconds_left(event.context), detail.get("since"), detail.get("step"))


@app.authorizer(ttl_seconds=30)
def authorize(request: AuthRequest) -> AuthResponse:
    return authorize_token(request, container.access, container.report)


routes = Routes(
    app,
    authorize,
    access=lambda: container.access,
    table_requests=lambda: container.clients.table_requests,
    report=lambda tally: container.report(tally),
)


@routes.public("/")
def get_page(request: Request[None]) -> File | Redirect:
    return container.dashboard.page(request.path)


@routes.public("/assets/{version}/{name}", AssetNotFound)
def get_asset(version: str, name: str) -> File:
    return container.dashboard.asset(version, name)


@routes.public("/health")
def get_health() -> HealthBody:
    """Check that the table, the queues and the secret are available."""
    return container.health.check()


@routes.private("/jobs", QueueNotFound)
def list_jobs(request: Request[JobsQuery]) -> JobPage:
    """List jobs: by name if `name` is given, otherwise the last change of status first."""
    return container.job_lists.page(request.query, request.scope)


@routes.private("/jobs/{job_id}", JobNotFound, AllSlotsTaken)
def get_job(request: Request[JobQuery], job_id: str) -> Versioned[JobBody]:
    """Get a job with its full history."""
    jobs = container.jobs
    return jobs.get(
        jobs.find(job_id, request.scope), request.query, request.versions, request.scope
    )


@routes.private("/jobs/{job_id}/children", JobNotFound)
def list_children(request: Request[ChildrenQuery], job_id: str) -> JobPage:
    """List the children of an array job or the nodes of a multi-node job, by index."""
    parent = container.jobs.find(job_id, request.scope)
    return container.job_lists.children(parent, request.query, request.scope)


@routes.private("/jobs/{job_id}/logs", JobNotFound, LogNotFound, LogUnavailable)
def get_log(request: Request[LogQuery], job_id: str) -> LogBody:
    """Get the end of the CloudWatch log of an attempt, redacted."""
    jobs = container.jobs
    return jobs.log(jobs.find(job_id, request.scope), request.query)


@routes.private("/queues")
def list_queues(request: Request[QueuesQuery]) -> QueueList:
    """List job queues with their counts and their last 24 hours."""
    return container.queues.page(request.query, request.scope)


@routes.private("/queues/{queue}", QueueNotFound)
def get_queue(request: Request[NoParameters], queue: str) -> QueueBody:
    """Get a job queue with its last 24 hours and 30 days."""
    return container.queues.get(queue, request.scope)


@routes.public("/openapi.json")
def describe_api(request: Request[None]) -> dict[str, object]:
    """Get this description."""
    from chalicelib.api import openapi  # needed by this route only

    server = request.path.removesuffix("/openapi.json") or "/"
    return openapi.document(routes.registered, server)
