"""The part of the REST API that Chalice can't deploy: the gateway's own responses, and throttling.

API Gateway itself responds to an unknown route, a missing or invalid token, too many requests and a
timeout. By default, these responses have another form than the API's, and an unknown route is a 403
that asks for a signature. `chalice deploy` imports the whole API and removes these settings, so
`make deploy` puts them again afterwards. For `chalice package --merge-template`, they are in
infra/gateway.json, which `python -m infra.gateway` rewrites and a test compares.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_apigateway.literals import GatewayResponseTypeType

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "sandbox",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The API's headers. A value can't contain quotes, so `sandbox` replaces `default-src 'none'`, and
`X-Frame-Options` replaces `frame-ancestors`."""
REQUESTS_PER_SECOND: Final = 100
BURST: Final = 200
TEMPLATE: Final = Path(__file__).with_suffix(".json")


class GatewayResponse(NamedTuple):
    """A response in the format of the API's errors. Without `status`, it keeps that of the
    gateway."""

    code: str
    message: str
    status: int | None = None
    headers: Mapping[str, str] = {}

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings by the names that the API Gateway API and OpenAPI have in common."""
        headers = {**HEADERS, **self.headers}
        body = {"Code": self.code, "Message": self.message, "RequestId": "$context.requestId"}
        return {
            **({} if self.status is None else {"statusCode": str(self.status)}),
            "responseParameters": {
                f"gatewayresponse.header.{name}": f"'{value}'" for name, value in headers.items()
            },
            "responseTemplates": {"application/json": json.dumps(body)},
        }


_NO_ROUTE = GatewayResponse("RouteNotFoundError", "this API has no such route or method", 404)
_NO_AUTHORIZER = GatewayResponse(
    "ServiceUnavailableError", "the token can't be checked now", 503, {"Retry-After": "5"}
)
RESPONSES: Final[Mapping["GatewayResponseTypeType", GatewayResponse]] = {
    "MISSING_AUTHENTICATION_TOKEN": _NO_ROUTE,
    "INVALID_SIGNATURE": _NO_ROUTE,
    "UNAUTHORIZED": GatewayResponse(
        "MissingTokenError",
        "the header Authorization: Bearer <token> is missing",
        401,
        {"WWW-Authenticate": "Bearer"},
    ),
    "ACCESS_DENIED": GatewayResponse(
        "InvalidTokenError",
        "the token is invalid, was removed or has expired",
        401,
        {"WWW-Authenticate": "Bearer"},
    ),
    "THROTTLED": GatewayResponse(
        "TooManyRequestsError", "too many requests: try again", 429, {"Retry-After": "1"}
    ),
    "INTEGRATION_TIMEOUT": GatewayResponse(
        "ServiceUnavailableError",
        "the response took longer than 29 seconds",
        503,
        {"Retry-After": "30"},
    ),
    "AUTHORIZER_FAILURE": _NO_AUTHORIZER,
    "AUTHORIZER_CONFIGURATION_ERROR": _NO_AUTHORIZER,
    "DEFAULT_4XX": GatewayResponse("BadRequestError", "the gateway rejected the request"),
    "DEFAULT_5XX": GatewayResponse("InternalServerError", "the gateway failed: try again"),
}
"""The gateway's messages are not repeated, because they may contain the Authorization header."""


def configure(client: "APIGatewayClient", api_id: str, stage: str) -> None:
    """Put the responses and the throttling of a REST API, and deploy them."""
    for kind, response in RESPONSES.items():
        client.put_gateway_response(restApiId=api_id, responseType=kind, **response.settings)
    client.create_deployment(restApiId=api_id, stageName=stage)
    client.update_stage(
        restApiId=api_id,
        stageName=stage,
        patchOperations=[
            {
                "op": "replace",
                "path": "/*/*/throttling/rateLimit",
                "value": str(REQUESTS_PER_SECOND),
            },
            {"op": "replace", "path": "/*/*/throttling/burstLimit", "value": str(BURST)},
        ],
    )


def template() -> dict[str, object]:
    """Return the same settings as a part of the template that `chalice package` writes."""
    responses = {kind: response.settings for kind, response in RESPONSES.items()}
    throttling = {
        "HttpMethod": "*",
        "ResourcePath": "/*",
        "ThrottlingRateLimit": REQUESTS_PER_SECOND,
        "ThrottlingBurstLimit": BURST,
    }
    return {
        "Resources": {
            "RestAPI": {
                "Properties": {
                    "DefinitionBody": {"x-amazon-apigateway-gateway-responses": responses},
                    "MethodSettings": [throttling],
                }
            }
        }
    }


if __name__ == "__main__":
    TEMPLATE.write_text(json.dumps(template(), indent=2) + "\n")
