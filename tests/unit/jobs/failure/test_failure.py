"""The cause of a failure, from texts that AWS Batch is known to report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jobs.failure import Cause, Failure, attempt_cause, failure_of
from chalicelib.jobs.job import Attempt, Details
from tests.support.builders import job_of_case

EXITED = "Essential container in task exited"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
TIMEOUT = "Job attempt duration exceeded timeout"
HOST_LOST = "Host EC2 (instance i-0abc1234def567890) terminated."
SAGEMAKER = "Received status from SageMaker: "
TIME_LIMIT = (
    "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
)
NO_REGISTRY = "unable to pull registry auth: unable to retrieve ecr registry auth: timed out"
NO_IMAGE = "CannotPullContainerError: manifest for lab:2 not found"


def an_attempt(
    exit_code: int | None = None,
    reason: str | None = None,
    status_reason: str | None = EXITED,
    stopped_at: int | None = 2_000,
) -> Attempt:
    return Attempt(1_000, stopped_at, exit_code, reason, status_reason)


def explain(
    status_reason: str | None,
    attempts: list[Attempt],
    *,
    exit_code: int | None = None,
    reason: str | None = None,
    is_cancelled: bool = False,
    is_terminated: bool = False,
) -> Failure:
    return failure_of(
        Details(
            status="FAILED",
            generation=len(attempts),
            time=3_000,
            job_name="align",
            job_queue="q",
            status_reason=status_reason,
            attempts=tuple(attempts),
            exit_code=exit_code,
            reason=reason,
            is_cancelled=is_cancelled,
            is_terminated=is_terminated,
        )
    )


@pytest.mark.parametrize(
    ("attempt", "cause"),
    [
        (an_attempt(0), None),
        (an_attempt(0, "Completed", None), None),
        (an_attempt(1), Cause.EXIT_CODE),
        (an_attempt(1, "Error", None), Cause.EXIT_CODE),
        (an_attempt(139), Cause.EXIT_CODE),
        (an_attempt(143), Cause.EXIT_CODE),
        (an_attempt(137), Cause.KILLED),
        (an_attempt(137, OUT_OF_MEMORY), Cause.OUT_OF_MEMORY),
        (an_attempt(1, "OutofMemoryError: killed"), Cause.OUT_OF_MEMORY),
        (an_attempt(0, OUT_OF_MEMORY), Cause.OUT_OF_MEMORY),
        (an_attempt(1, "Container killed due to memory usage"), Cause.OUT_OF_MEMORY),
        (an_attempt(137, "OOMKilled", None), Cause.OUT_OF_MEMORY),
        (an_attempt(137, "DeadlineExceeded", None), Cause.TIMEOUT),
        (an_attempt(137, None, TIMEOUT), Cause.TIMEOUT),
        (an_attempt(None, None, TIMEOUT), Cause.TIMEOUT),
        (an_attempt(None, None, HOST_LOST), Cause.SPOT_INTERRUPTION),
        (an_attempt(137, None, HOST_LOST), Cause.SPOT_INTERRUPTION),
        (an_attempt(143, None, "Host EC2 Terminated"), Cause.SPOT_INTERRUPTION),
        (an_attempt(None, None, "Your Spot Task was interrupted."), Cause.SPOT_INTERRUPTION),
        (an_attempt(None, NO_IMAGE, "Task failed to start"), Cause.IMAGE_PULL),
        (an_attempt(None, "ImagePullBackOff", None), Cause.IMAGE_PULL),
        (an_attempt(None, "ErrImagePull", None), Cause.IMAGE_PULL),
        (an_attempt(None, "InvalidImageName", None), Cause.IMAGE_PULL),
        (an_attempt(None, None, f"ResourceInitializationError: {NO_REGISTRY}"), Cause.IMAGE_PULL),
        (
            an_attempt(None, "CannotStartContainerError: x", "Task failed to start"),
            Cause.CANNOT_START,
        ),
        (an_attempt(None, None, None), Cause.UNKNOWN),
        (an_attempt(None, None, "Received status from SageMaker: Training job completed"), None),
        (an_attempt(None, None, "Received status from SageMaker: InternalServerError"), "UNKNOWN"),
        (an_attempt(None, None, "AlgorithmError: Exit Code: 137"), "KILLED"),
        (an_attempt(None, None, "AlgorithmError: Exit Code: 1379"), "UNKNOWN"),
        (an_attempt(None, None, "InternalServerError: Exit Code: 1"), "UNKNOWN"),
        (an_attempt(137, None, "wrong reference genome"), Cause.TERMINATED),
        (an_attempt(1, None, "wrong reference genome"), Cause.TERMINATED),
        (an_attempt(1, "Error", "Pod failed"), Cause.EXIT_CODE),
    ],
)
def test_an_attempt_has_one_cause(attempt: Attempt, cause: Cause | None) -> None:
    assert attempt_cause(attempt) == cause


@pytest.mark.parametrize("exit_code", [None, 0, 1, 137])
def test_a_running_attempt_has_no_cause(exit_code: int | None) -> None:
    assert attempt_cause(an_attempt(exit_code, OUT_OF_MEMORY, HOST_LOST, stopped_at=None)) is None


@pytest.mark.parametrize(
    ("status_reason", "attempts", "cause"),
    [
        (EXITED, [an_attempt(1)], Cause.EXIT_CODE),
        (EXITED, [an_attempt(137, OUT_OF_MEMORY)], Cause.OUT_OF_MEMORY),
        (EXITED, [an_attempt(137)], Cause.KILLED),
        (EXITED, [an_attempt(None, None, HOST_LOST), an_attempt(1)], Cause.EXIT_CODE),
        (EXITED, [an_attempt(1), an_attempt(None, None, HOST_LOST)], Cause.SPOT_INTERRUPTION),
        (HOST_LOST, [an_attempt(None, None, HOST_LOST)], Cause.SPOT_INTERRUPTION),
        (HOST_LOST.upper(), [], Cause.SPOT_INTERRUPTION),
        (TIMEOUT, [an_attempt(137, OUT_OF_MEMORY)], Cause.TIMEOUT),
        (TIMEOUT, [an_attempt()], Cause.TIMEOUT),
        ("Task failed to start", [an_attempt(None, NO_IMAGE)], Cause.IMAGE_PULL),
        (None, [an_attempt(137, "OOMKilled", None)], Cause.OUT_OF_MEMORY),
        ("Array Child Job failed", [], Cause.CHILD_FAILED),
        ("Dependent Job failed", [], Cause.DEPENDENCY_FAILED),
        ("JobQueue deleted", [], Cause.QUEUE_DELETED),
        (TIME_LIMIT, [], Cause.TIME_LIMIT),
        ("Terminated by JobStateTimeLimit action", [], Cause.TIME_LIMIT),
        ("Canceled by user: superseded", [], Cause.CANCELLED),
        ("Cancelled", [an_attempt(1)], Cause.CANCELLED),
        (
            "superseded",
            [an_attempt(None, None, f"{SAGEMAKER}InternalServerError")],
            Cause.CANCELLED,
        ),
        ("superseded", [an_attempt(None, None, f"{SAGEMAKER}AlgorithmError")], Cause.CANCELLED),
        (
            "wrong data",
            [an_attempt(None, None, f"{SAGEMAKER}Training job stopped")],
            Cause.TERMINATED,
        ),
        ("Job cancelled by ada: out of memory?", [], Cause.CANCELLED),
        ("Terminated by user: wrong reference", [an_attempt(137)], Cause.TERMINATED),
        ("Terminated by ada: out of memory?", [an_attempt(1)], Cause.CANCELLED),
        ("the study was cancelled", [an_attempt(137)], Cause.TERMINATED),
        ("the study was terminated", [], Cause.CANCELLED),
        ("Container Overrides length must be at most 8192", [], Cause.CANNOT_START),
        ("AccessDeniedException: not authorized to perform logs:X", [], Cause.CANNOT_START),
        ("ClientException: the ARN is not valid", [], Cause.CANNOT_START),
        ("Received status from SageMaker: quota is 10 Instances", [], Cause.UNKNOWN),
        ("Received status from SageMaker: AlgorithmError: X:\nExitCode 1\n", [], Cause.EXIT_CODE),
        ("Timeout waiting for network interface provisioning", [an_attempt()], Cause.CANNOT_START),
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x", [], Cause.UNKNOWN),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x", [], Cause.UNKNOWN),
        ("ACTION_REQUIRED - x", [], Cause.UNKNOWN),
        ("UNDETERMINED - x", [], Cause.UNKNOWN),
        (EXITED, [an_attempt(0)], Cause.UNKNOWN),
        (None, [], Cause.UNKNOWN),
        (" ", [], Cause.UNKNOWN),
    ],
)
def test_a_failed_job_has_the_cause_that_batch_reports(
    status_reason: str | None, attempts: list[Attempt], cause: Cause
) -> None:
    assert explain(status_reason, attempts).cause is cause


@pytest.mark.parametrize(
    ("attempts", "cause"),
    [
        ([], Cause.CANCELLED),
        ([an_attempt(137)], Cause.TERMINATED),
        ([an_attempt(143)], Cause.TERMINATED),
        ([an_attempt(130)], Cause.TERMINATED),
        ([an_attempt(0)], Cause.TERMINATED),
        ([an_attempt(None)], Cause.TERMINATED),
        ([an_attempt(None, stopped_at=None)], Cause.TERMINATED),
        ([an_attempt(1), an_attempt(137)], Cause.TERMINATED),
        ([an_attempt(1)], Cause.CANCELLED),
        ([an_attempt(1, None, "wrong reference genome")], Cause.TERMINATED),
        ([an_attempt(None, None, HOST_LOST)], Cause.CANCELLED),
        ([an_attempt(137, "OOMKilled", None)], Cause.OUT_OF_MEMORY),
    ],
)
def test_a_reason_that_is_not_from_aws_is_from_the_caller_who_ended_the_job(
    attempts: list[Attempt], cause: Cause
) -> None:
    assert explain("wrong reference genome", attempts).cause is cause


@pytest.mark.parametrize(
    ("exit_code", "reason", "cause"),
    [
        (137, OUT_OF_MEMORY, Cause.OUT_OF_MEMORY),
        (137, None, Cause.KILLED),
        (3, None, Cause.EXIT_CODE),
        (None, NO_IMAGE, Cause.IMAGE_PULL),
    ],
)
def test_the_jobs_own_container_is_used_if_the_attempt_lacks_exit_code_and_reason(
    exit_code: int | None, reason: str | None, cause: Cause
) -> None:
    assert explain(EXITED, [], exit_code=exit_code, reason=reason).cause is cause
    assert explain(EXITED, [an_attempt()], exit_code=exit_code, reason=reason).cause is cause


def test_the_last_attempt_takes_precedence_over_the_jobs_own_container() -> None:
    failure = explain(EXITED, [an_attempt(3)], exit_code=4)

    assert "exit code 3" in failure.explanation


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (explain(EXITED, [an_attempt(1)]), ["exit code 1", "log"]),
        (explain(EXITED, [an_attempt(2)]), ["exit code 2", "arguments"]),
        (explain(EXITED, [an_attempt(126)]), ["exit code 126", "executed"]),
        (explain(EXITED, [an_attempt(127)]), ["exit code 127", "not in the image"]),
        (explain(EXITED, [an_attempt(134)]), ["exit code 134 (SIGABRT)"]),
        (explain(EXITED, [an_attempt(137)]), ["exit code 137, SIGKILL", "memory"]),
        (explain(EXITED, [an_attempt(139)]), ["exit code 139 (SIGSEGV)"]),
        (explain(EXITED, [an_attempt(143)]), ["exit code 143 (SIGTERM)"]),
        (explain(EXITED, [an_attempt(42)]), ["exit code 42. "]),
        (explain(EXITED, [an_attempt(-5)]), ["exit code -5. "]),
        (explain(EXITED, [an_attempt(4_000)]), ["exit code 4000. "]),
        (explain(EXITED, [an_attempt(1, "disk is full")]), ['"disk is full"']),
        (explain(HOST_LOST, []), ["Spot", "instance", "no exit code", "retry", "i-0abc1234def"]),
        (explain("Task failed to start", [an_attempt(None, NO_IMAGE)]), ["lab:2 not found"]),
        (explain("Task failed to start", []), ['"Task failed to start"']),
        (explain(TIME_LIMIT, []), ["CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"]),
        (explain("not needed\nany  more", []), ['"not needed any more"']),
        (explain("wrong genome", [an_attempt(137)]), ["terminated", '"wrong genome"']),
    ],
)
def test_an_explanation_contains_what_is_known(failure: Failure, words: list[str]) -> None:
    missing = [word for word in words if word not in failure.explanation]

    assert not missing, failure.explanation


@pytest.mark.parametrize(
    "failure",
    [
        explain(EXITED, [an_attempt(1)]),
        explain(EXITED, [an_attempt(1, "Error", None)]),
        explain(EXITED, [an_attempt(137, OUT_OF_MEMORY)]),
        explain("Array Child Job failed", []),
        explain(None, []),
    ],
)
def test_an_uninformative_reason_is_not_quoted(failure: Failure) -> None:
    assert '"' not in failure.explanation


def test_a_reason_is_quoted_in_full() -> None:
    failure = explain("x" * 1_024, [])

    assert f'"{"x" * 1_024}"' in failure.explanation


def test_a_preempted_job_has_that_cause() -> None:
    failure = explain("Cross-share preemption triggered to reclaim borrowed capacity", [])

    assert failure.cause == "PREEMPTED"
    assert "preemptionRetriesBeforeTermination" in failure.explanation


TEXTS = st.none() | st.text() | st.sampled_from([EXITED, TIMEOUT, "Cancelled", "y" * 10_000])
CODES = st.none() | st.integers() | st.integers(-2, 260)


@given(
    status_reason=TEXTS,
    attempts=st.lists(
        st.builds(an_attempt, CODES, TEXTS, TEXTS, st.none() | st.integers()), max_size=3
    ),
    exit_code=CODES,
    reason=TEXTS,
)
def test_any_texts_and_codes_have_a_short_explanation(
    status_reason: str | None, attempts: list[Attempt], exit_code: int | None, reason: str | None
) -> None:
    failure = explain(status_reason, attempts, exit_code=exit_code, reason=reason)
    causes = [attempt_cause(attempt) for attempt in attempts]

    assert isinstance(failure.cause, Cause)
    assert 0 < len(failure.explanation) < 1_700
    assert all(cause is None or isinstance(cause, Cause) for cause in causes)


# Every kind of failure: captured events, texts of AWS's documentation and of public reports

ROLE = "ECS was unable to assume the role 'arn:aws:iam::1:role/r' that was provided for this task."
NO_ADDRESS = (
    "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment "
    "disabled in subnet 'subnet-1': InsufficientFreeAddressesInSubnet"
)
DOCKER = "DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s"


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("role-refused", Cause.CANNOT_START),
        ("cancelled-with-a-word-of-aws", Cause.CANCELLED),
        ("terminated-with-a-word-of-aws", Cause.TERMINATED),
        ("terminated-exit-1", Cause.TERMINATED),
        ("docker-timeout", Cause.CANNOT_START),
        ("cuda-out-of-memory", Cause.EXIT_CODE),
        ("exit-137-only", Cause.KILLED),
        ("ecr-connection", Cause.IMAGE_PULL),
        ("dependency-failed", Cause.DEPENDENCY_FAILED),
    ],
)
def test_a_captured_failure_has_its_real_cause(case: str, cause: Cause) -> None:
    assert failure_of(job_of_case(case).details).cause is cause


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("role-refused", ["could not start", "trust policy", "to pass this role."]),
        ("terminated-with-a-word-of-aws", ["terminated", "was running out of memory"]),
        ("terminated-exit-1", ["terminated", "exit code 1", "stop the campaign"]),
        ("docker-timeout", ["could not start", "gp3", "timed out after waiting 4m0s"]),
        ("cuda-out-of-memory", ["exit code 1", "CUDA out of memory. Tried to allocate 2.00 GiB"]),
        ("exit-137-only", ["137", "memory limit"]),
        ("ecr-connection", ["could not be pulled", "i/o timeout"]),
    ],
)
def test_a_captured_failure_is_explained_with_its_reason(case: str, words: list[str]) -> None:
    explanation = failure_of(job_of_case(case).details).explanation

    assert not [word for word in words if word not in explanation], explanation


def test_the_attempt_of_a_terminated_job_was_terminated() -> None:
    details = job_of_case("terminated-exit-1").details

    assert attempt_cause(details.attempts[-1], details) is Cause.TERMINATED


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (ROLE, Cause.CANNOT_START),
        (NO_ADDRESS, Cause.CANNOT_START),
        (
            "Unable to start task: no Container Instances were found in it.",
            "CANNOT_START",
        ),
        ("Timeout waiting for EphemeralStorage provisioning to complete.", Cause.CANNOT_START),
        ("You've reached the limit on the number of vCPUs you can run", Cause.CANNOT_START),
        ("Compute Environment disabled", Cause.CANNOT_START),
        (DOCKER, Cause.CANNOT_START),
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: execution "
            "resource retrieval failed: unable to retrieve secret from asm: AccessDenied",
            Cause.CANNOT_START,
        ),
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: execution "
            "resource retrieval failed: unable to retrieve ecr registry auth: service call has "
            "been retried 3 time(s)",
            Cause.IMAGE_PULL,
        ),
        ("The task cannot pull registry auth from Amazon ECR: no route", Cause.IMAGE_PULL),
        ("CannotPullContainerError: toomanyrequests: rate limit", Cause.IMAGE_PULL),
        ("Received status from SageMaker: CapacityError: no capacity", Cause.CANNOT_START),
        ("Received status from SageMaker: ClientError: out of memory", Cause.UNKNOWN),
        ("Received status from SageMaker: AlgorithmError: OutOfMemoryError", Cause.EXIT_CODE),
        (
            "Received status from SageMaker: AlgorithmError: Host EC2 terminated, exit code: 2",
            Cause.EXIT_CODE,
        ),
    ],
)
def test_a_text_of_aws_about_a_job_that_did_not_run_states_its_cause(
    text: str, cause: Cause
) -> None:
    assert explain(text, []).cause == cause


AWS_TEXTS = [
    EXITED,
    OUT_OF_MEMORY,
    TIMEOUT,
    HOST_LOST,
    TIME_LIMIT,
    NO_IMAGE,
    ROLE,
    NO_ADDRESS,
    DOCKER,
    "Your Spot Task was interrupted.",
    "Array Child Job failed",
    "Dependent Job failed",
    "JobQueue deleted",
    "Compute Environment disabled",
    "Task failed to start",
    "Received status from SageMaker: AlgorithmError: Exit Code: 1",
    "Cross-share preemption triggered to reclaim borrowed capacity",
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x",
]
WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=60)
CALLER_TEXTS = (
    st.sampled_from(AWS_TEXTS)
    | WORDS
    | st.builds("{} {}".format, WORDS, st.sampled_from(AWS_TEXTS))
    | st.builds("{} {}".format, st.sampled_from(AWS_TEXTS), WORDS)
    | st.sampled_from(AWS_TEXTS).map(str.lower)
)


@given(text=CALLER_TEXTS, exit_code=st.none() | st.integers(0, 255), reason=st.none() | WORDS)
def test_no_text_of_a_caller_changes_a_flag(
    text: str, exit_code: int | None, reason: str | None
) -> None:
    attempt = an_attempt(exit_code, reason, text)

    terminated = explain(text, [attempt], is_terminated=True)
    cancelled = explain(text, [], is_cancelled=True)

    assert (terminated.cause, cancelled.cause) == (Cause.TERMINATED, Cause.CANCELLED)
    assert " ".join(text.split()) in terminated.explanation or _is_uninformative(text)


def _is_uninformative(text: str) -> bool:
    return text.strip().rstrip(".").lower() in ("error", "completed", EXITED.lower())


@given(
    before=st.sampled_from(["we saw: ", "not ", "restart, was ", "2x memory: "]),
    text=st.sampled_from(AWS_TEXTS),
    after=st.sampled_from(["", " again", ", giving up"]),
)
def test_a_sentence_of_aws_within_a_callers_text_is_not_a_cause(
    before: str, text: str, after: str
) -> None:
    reason = before + text + after

    assert explain(reason, []).cause is Cause.CANCELLED
    assert explain(reason, [an_attempt(143, None, reason)]).cause is Cause.TERMINATED


@pytest.mark.parametrize(
    "text",
    [TIMEOUT, OUT_OF_MEMORY, HOST_LOST, "Dependent Job failed", "JobQueue deleted"],
)
def test_a_fixed_sentence_of_aws_counts_only_as_a_whole(text: str) -> None:
    reason = f"{text} again, so I stop it"

    assert explain(reason, [an_attempt(143, None, reason)]).cause is Cause.TERMINATED


def test_a_guess_is_labelled_as_one() -> None:
    guesses = [explain("superseded", []), explain("superseded", [an_attempt(143, None, None)])]
    certain = [explain("superseded", [], is_cancelled=True)]

    assert all(failure.explanation.startswith("Most likely") for failure in guesses)
    assert not any("likely" in failure.explanation for failure in certain)
