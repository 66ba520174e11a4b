"""A stage's place in .chalice: its part of config.json and a policy for each of its functions.

prod's are written by hand; any other stage's are prod's with its own name in place of prod's, so
there is one source of truth. What a stage says otherwise in config.json stays as it is. Policies
are made anew at each deployment, so a right that is added for prod reaches every stage.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.errors import Refused

ROOT = Path(__file__).parent.parent
CHALICE = ROOT / ".chalice"
SOURCE = "prod"
NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")

Json = dict[str, Any]


def environment_of(stage: str, folder: Path = CHALICE) -> dict[str, str]:
    """What the stage's functions find in their environment; Refused if there is no such stage."""
    stages = _config(folder)["stages"]
    if stage not in stages:
        raise Refused(f"there is no stage {stage!r}; .chalice/config.json has {', '.join(stages)}")
    environment: dict[str, str] = stages[stage]["environment_variables"]
    return environment


def prepare(stage: str, account_id: str, folder: Path = CHALICE) -> None:
    """Makes what the stage lacks, its policies anew, and notes the account that it lives in.

    Refused if that can't be a stage's name, or the stage lives in another account.
    """
    if not NAME.fullmatch(stage) or stage == "local":
        raise Refused(
            f"{stage!r} can't be deployed: a stage has 1 to 20 lower-case letters, digits and"
            " hyphens, begins with a letter, and local is `make run`'s"
        )
    config = _config(folder)
    stages = config["stages"]
    known_account = stages.get(stage, {}).get("environment_variables", {}).get("ACCOUNT_ID")
    if known_account not in (None, account_id):
        raise Refused(
            f"stage {stage} lives in account {known_account}, and these are credentials for"
            f" {account_id}"
        )
    if stage != SOURCE:
        stages[stage] = _merged(rendered(stages[SOURCE], stage), stages.get(stage, {}))
        for name, policy in policies(stage, folder):
            (folder / name).write_text(policy)
    stages[stage]["environment_variables"]["ACCOUNT_ID"] = account_id
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def rendered(stage_config: Json, stage: str) -> Json:
    """prod's part of config.json, as another stage's."""
    config: Json = json.loads(_renamed(json.dumps(stage_config), stage))
    return config


def policies(stage: str, folder: Path = CHALICE) -> Iterator[tuple[str, str]]:
    """The name and text of each of the stage's policy files."""
    functions = _config(folder)["stages"][SOURCE]["lambda_functions"]
    for path in sorted(folder / function["iam_policy_file"] for function in functions.values()):
        yield _renamed(path.name, stage), _renamed(path.read_text(), stage)


def _renamed(text: str, stage: str) -> str:
    for prefix in ("batchwatch-", "policy-"):
        text = text.replace(f"{prefix}{SOURCE}", f"{prefix}{stage}")
    return text


def _merged(default: Json, own: Json) -> Json:
    """The two, where `own` has the last word."""
    merged = {**default, **own}
    for key in default.keys() & own.keys():
        if isinstance(default[key], dict) and isinstance(own[key], dict):
            merged[key] = _merged(default[key], own[key])
    return merged


def _config(folder: Path) -> Json:
    config: Json = json.loads((folder / "config.json").read_text())
    return config
