"""Why AWS Batch made no further attempt at a job that failed.

AWS Batch evaluates the rules of `evaluateOnExit` in their order: the first one whose patterns all
match an attempt decides, and an attempt that none matches is retried. A pattern may end with `*`.
(https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html)

Pure: no I/O, no clock.
"""

from chalicelib.jobs.failure.cause import Cause
from chalicelib.jobs.job import Attempt, Description, Details, ExitRule

_NEVER_RETRIED = (Cause.CANCELLED, Cause.TERMINATED, Cause.TIMEOUT)
"""Causes after which no rule applies; their own explanations say so."""


def retry_explanation(details: Details, description: Description, cause: Cause) -> str | None:
    """Return why a job that failed was not retried, as in "Attempt 1 of 3: exit code 2 is not
    retried.", or None if it had one attempt or the reason is not known."""
    allowed, made = description.retry_attempts or 1, details.generation
    if allowed == 1 or not 0 < made <= allowed or cause in _NEVER_RETRIED:
        return None
    if made == allowed:
        return f"It was the last of {allowed} attempts."
    last = details.attempts[-1] if details.attempts else Attempt()
    why = _rejected(last, description.exit_rules)
    return f"Attempt {made} of {allowed}: {why}." if why else None


def _rejected(attempt: Attempt, rules: tuple[ExitRule, ...]) -> str | None:
    """Return what a rule with the action EXIT matched, or None if no such rule decided."""
    rule = next((rule for rule in rules if _matches(rule, attempt)), None)
    if rule is None or rule.action.upper() != "EXIT":
        return None
    if rule.on_exit_code is not None:
        return f"exit code {attempt.exit_code} is not retried"
    text = attempt.reason if rule.on_reason is not None else attempt.status_reason
    return f'an attempt that ends with "{text}" is not retried'


def _matches(rule: ExitRule, attempt: Attempt) -> bool:
    exit_code = None if attempt.exit_code is None else str(attempt.exit_code)
    pairs = (
        (rule.on_exit_code, exit_code),
        (rule.on_reason, attempt.reason),
        (rule.on_status_reason, attempt.status_reason),
    )
    return all(
        text is not None and _matches_pattern(text, pattern)
        for pattern, text in pairs
        if pattern is not None
    )


def _matches_pattern(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
