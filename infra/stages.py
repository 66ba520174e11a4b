"""Configuration of a stage in .chalice/config.json.

prod's configuration is written by hand. Another stage's is rendered from it by replacing the
stage's name in resource names; settings that the stage has of its own are kept. Its policies are
rendered at each deployment (infra.policies), so that a permission added for prod reaches every
stage.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from infra.errors import CommandError
from infra.policies import (
    CHALICE,
    LOCAL,
    SOURCE,
    Json,
    read_config,
    render_stage_name,
    write_policies,
)

ROOT = Path(__file__).parent.parent
_OWN_VARIABLES = (
    "ACCOUNT_ID",
    "DEPLOYED_REGION",
    "JOB_QUEUES",
    "NOTICE_RULES",
    "PUBLIC_URL",
    "WEBEX_ROOM",
)
_STAGE_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


def environment_of(stage: str, folder: Path = CHALICE) -> dict[str, str]:
    """Return the environment variables of the stage's functions. Raise CommandError if the stage
    doesn't exist."""
    stages = read_config(folder)["stages"]
    if stage not in stages:
        raise CommandError(
            f"STAGE must be a stage in .chalice/config.json ({', '.join(stages)}), not {stage!r}"
        )
    environment: dict[str, str] = stages[stage]["environment_variables"]
    return environment


def webex_secret_of(stage: str) -> str:
    """Return the name or ARN of the secret that contains the stage's Webex token."""
    environment = environment_of(stage)
    return environment.get("WEBEX_SECRET_ID") or environment["SECRET_ID"]


def job_queues_of(stage: str, folder: Path = CHALICE) -> list[str]:
    """Return the names and globs of the job queues that the stage records."""
    stored = read_config(folder)["stages"].get(stage, {}).get("environment_variables", {})
    return str(stored.get("JOB_QUEUES", "*")).split(",")


def check(stage: str, account_id: str, region: str, folder: Path = CHALICE) -> None:
    """Raise CommandError if the name is invalid, or if the stage is deployed in another account or
    region."""
    if not _STAGE_NAME.fullmatch(stage) or stage == LOCAL:
        raise CommandError(
            "STAGE must have 1 to 20 lower-case letters, digits and hyphens and begin with a"
            f" letter, such as STAGE=prod, not {stage!r}; local is reserved for `make run`"
        )
    stored = read_config(folder)["stages"].get(stage, {}).get("environment_variables", {})
    if stored.get("ACCOUNT_ID") not in (None, account_id):
        raise CommandError(
            f"stage {stage} is deployed in account {stored['ACCOUNT_ID']}, but the AWS credentials"
            f" are for account {account_id}"
        )
    if stored.get("DEPLOYED_REGION") not in (None, region):
        raise CommandError(
            f"stage {stage} is deployed in {stored['DEPLOYED_REGION']}, not in {region}: deploy"
            " another stage there, or set AWS_DEFAULT_REGION"
        )


def prepare(
    stage: str,
    account_id: str,
    region: str,
    job_queues: Sequence[str] = ("*",),
    folder: Path = CHALICE,
) -> None:
    """Add the stage's missing settings, render its policies, and store the account's id, the region
    and the job queues.

    Raises CommandError as `check` does.
    """
    check(stage, account_id, region, folder)
    config = read_config(folder)
    stages = config["stages"]
    if stage != SOURCE:
        stages[stage] = _merge(render_config(stages[SOURCE], stage), stages.get(stage, {}))
        write_policies(stage, folder)
    environment = stages[stage]["environment_variables"]
    environment |= {
        "ACCOUNT_ID": account_id,
        "DEPLOYED_REGION": region,
        "JOB_QUEUES": ",".join(job_queues),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def set_default(stage: str, variable: str, value: str, folder: Path = CHALICE) -> bool:
    """Set an environment variable of the stage, and return whether it was not set before."""
    config = read_config(folder)
    environment = config["stages"][stage]["environment_variables"]
    if variable in environment:
        return False
    environment[variable] = value
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return True


def render_config(source: Json, stage: str) -> Json:
    """Return prod's part of config.json with the resource names of another stage, and without what
    belongs to prod alone: its account, job queues, rooms and URL."""
    config: Json = json.loads(render_stage_name(json.dumps(source), stage))
    for variable in _OWN_VARIABLES:
        config["environment_variables"].pop(variable, None)
    return config


def _merge(default: Json, own: Json) -> Json:
    """Return `default` overridden by `own`, at every level."""
    merged = {**default, **own}
    for key in default.keys() & own.keys():
        if isinstance(default[key], dict) and isinstance(own[key], dict):
            merged[key] = _merge(default[key], own[key])
    return merged
