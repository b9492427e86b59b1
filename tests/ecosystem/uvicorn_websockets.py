"""uvicorn's own tests of WebSockets, with kissapi in its place; those that start no server are skipped."""

from __future__ import annotations

from tests.ecosystem.sources import failed, function_of, outcomes, sources

LEAST = 38  # must pass

# What fails, and why that is as it should be.
EXPECTED = {
    "test_duplicate_handshake": "an app that raises ends with 1011, there with 1006",
    "test_asgi_return_value": "an app that returns ends with 1000, there with 1006",
    "test_close_transport_on_asgi_return": "the same",
    "test_send_close_on_server_shutdown": "1001, going away, as RFC 6455 has it; there 1012",
    "test_server_reject_connection_with_body_nolength": "a whole body has its length, there it is chunked",
    "test_server_reject_connection_with_invalid_status": "a 500, and the connection is kept",
    "test_server_reject_connection_with_invalid_msg": "half a denial is answered with a whole 500",
    "test_server_reject_connection_with_missing_body": "the same",
    "test_server_multiple_websocket_http_response_start_events": "the same",
    "test_default_server_headers": "there is no Server field unless the operator sets one",
    "test_multiple_server_header": "the same, and there is one of them",
    "test_no_date_header": "a server with a clock sends Date (RFC 9110 §6.6.1)",
    "test_frame_after_close_handshake_is_ignored": "it reaches into uvicorn's objects",
    "test_server_keepalive_ping_pong": "the same",
    "test_server_keepalive_disabled": "the same",
    "test_server_keepalive_ping_timeout": "pings of a tenth of a second: the tick is longer",
}


def main() -> str:
    # One of its four pairs of libraries: they are not those of kissapi.
    found = outcomes(
        sources("uvicorn"),
        "kissapi_as_uvicorn",
        ["tests/protocols/test_websocket.py"],
        "-k",
        "wsproto and h11",
    )
    wrong = failed(found)
    for name in wrong:
        print(f"{name}: {EXPECTED.get(function_of(name), 'UNEXPECTED')}")
    passed = len(found) - len(wrong)
    unexpected = [name for name in wrong if function_of(name) not in EXPECTED]
    assert not unexpected, unexpected
    assert passed >= LEAST, f"{passed} passed"
    return f"{passed} of {len(found)} tests that start a server; {len(wrong)} differ, each with a reason"
