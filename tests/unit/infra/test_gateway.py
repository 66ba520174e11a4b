"""infra/gateway.json, for people who deploy what `chalice package` writes."""

import json

from infra.gateway import RESPONSES, TEMPLATE, template


def test_the_file_to_merge_is_rendered_from_the_settings_of_make_deploy() -> None:
    assert json.loads(TEMPLATE.read_text()) == template(), "run python -m infra.gateway"


def test_every_response_of_the_gateway_is_json_with_the_fields_of_an_error() -> None:
    for response in RESPONSES.values():
        body = json.loads(response.settings["responseTemplates"]["application/json"])
        assert list(body) == ["Code", "Message", "RequestId"]
        parameters = response.settings["responseParameters"]
        assert all("'" not in value.strip("'") for value in parameters.values())
