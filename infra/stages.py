"""Configuration of a stage in .chalice/config.json.

prod's configuration is written by hand. Another stage's is rendered from it by replacing the
stage's name in resource names; settings that the stage has of its own are kept. Its policies are
rendered at each deployment (infra.policies), so that a permission added for prod reaches every
stage.
"""

import json
import re
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


def prepare(stage: str, account_id: str, folder: Path = CHALICE) -> None:
    """Add the stage's missing settings, render its policies, and store the account's id.

    Raises CommandError if the name is invalid, or if the stage is deployed in another account.
    """
    if not _STAGE_NAME.fullmatch(stage) or stage == LOCAL:
        raise CommandError(
            "STAGE must have 1 to 20 lower-case letters, digits and hyphens and begin with a"
            f" letter, such as STAGE=prod, not {stage!r}; local is reserved for `make run`"
        )
    config = read_config(folder)
    stages = config["stages"]
    stored_account = stages.get(stage, {}).get("environment_variables", {}).get("ACCOUNT_ID")
    if stored_account not in (None, account_id):
        raise CommandError(
            f"stage {stage} is deployed in account {stored_account}, but the AWS credentials are"
            f" for account {account_id}"
        )
    if stage != SOURCE:
        stages[stage] = _merge(render_config(stages[SOURCE], stage), stages.get(stage, {}))
        write_policies(stage, folder)
    stages[stage]["environment_variables"]["ACCOUNT_ID"] = account_id
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def render_config(source: Json, stage: str) -> Json:
    """Return prod's part of config.json with the resource names of another stage."""
    config: Json = json.loads(render_stage_name(json.dumps(source), stage))
    return config


def _merge(default: Json, own: Json) -> Json:
    """Return `default` overridden by `own`, at every level."""
    merged = {**default, **own}
    for key in default.keys() & own.keys():
        if isinstance(default[key], dict) and isinstance(own[key], dict):
            merged[key] = _merge(default[key], own[key])
    return merged
