"""Which pages may read the HTTP API's answers: those of the origin that a deployment names."""

from infra.http_api import ROUTES
from local.gateway import http_api as local_http


def http_api(assembly):
    """The properties of the HTTP API."""
    (api,) = [
        api
        for api in assembly.properties("AWS::ApiGatewayV2::Api")
        if api["Name"] == "tapedeck"
    ]
    return api


def test_a_page_of_the_named_origin_may_do_what_the_local_gateway_lets_pages_do(standard):
    assert http_api(standard)["CorsConfiguration"] == {
        "AllowOrigins": ["https://page.example.org"],
        "AllowMethods": sorted({method for method, _ in local_http.ROUTES}),
        "AllowHeaders": list(local_http.ASKED_HEADERS),
        "ExposeHeaders": list(local_http.SHOWN_HEADERS),
        "MaxAge": local_http.PREFLIGHT_S,
    }


def test_no_page_may_when_none_is_named(small):
    assert "CorsConfiguration" not in http_api(small)


def test_no_route_takes_the_question_that_api_gateway_answers_without_a_key(standard):
    """A route for OPTIONS would ask the authorizer, to whom a browser shows no key."""
    keys = {route["RouteKey"] for route in standard.properties("AWS::ApiGatewayV2::Route")}
    assert {key for key in keys if key.split()[-1] in ROUTES} == {
        f"GET {path}" for path in ROUTES
    }
