"""Removal of a stage: `make destroy STAGE=dev`, with the usual AWS credentials.

Deletes the app and the resources stack. The table and the secret are retained: a later deployment
of the stage adopts them.
"""

import argparse
import sys

import boto3

from infra import stages
from infra.deploy import resources_stack, run_chalice
from infra.errors import CommandError, run_command
from infra.stack import delete_stack


def destroy(session: boto3.Session, stage: str) -> None:
    """Delete both stacks of a stage. Each step can be repeated after an error."""
    account = session.client("sts").get_caller_identity()["Account"]
    environment = stages.environment_of(stage)
    stages.check(stage, account, session.region_name)
    print(f"Deleting the app of stage {stage} …", flush=True)
    run_chalice("delete", stage)
    print("Deleting the resources …", flush=True)
    is_deleted = delete_stack(
        session.client("cloudformation"),
        resources_stack(stage),
        report=lambda line: print(f"  {line}", flush=True),
    )
    if not is_deleted:
        print(f"  {resources_stack(stage)} does not exist")
    table, secret = environment["JOBS_TABLE"], environment["SECRET_ID"]
    print(
        f"The history and the tokens are retained; make deploy STAGE={stage} adopts them.\n"
        "To delete them for ever:\n"
        f"  aws dynamodb update-table --table-name {table} --no-deletion-protection-enabled\n"
        f"  aws dynamodb delete-table --table-name {table}\n"
        f"  aws secretsmanager delete-secret --secret-id {secret}\n"
        f"  aws secretsmanager delete-secret --secret-id {stages.webex_secret_of(stage)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make destroy",
        description="Delete a stage in AWS, except for its table and its secrets.",
    )
    parser.add_argument("--stage", required=True, help="the stage to delete")
    parser.add_argument("--confirm", help="the name of the stage again")
    options = parser.parse_args()
    if options.confirm != options.stage:
        raise CommandError(
            f"this deletes the functions, the API and the queues of stage {options.stage}, with the"
            f" messages in them: confirm it with CONFIRM={options.stage}"
        )
    destroy(boto3.Session(), options.stage)


if __name__ == "__main__":
    sys.exit(run_command(main))
