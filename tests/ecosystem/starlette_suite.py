"""Starlette's own tests, their client asking a live kissapi. What fails there alone is listed."""

from __future__ import annotations

from tests.ecosystem.sources import failed, function_of, outcomes, sources

PLUGIN = "kissapi_as_starlette"
FLAGS = ["-n", "2", "--ignore", "tests/test_testclient.py"]  # about a client that has no sockets

JOINED = "pieces that come at once are one write, with its length"
HOST = "a Host that is no host and port is refused before the app (RFC 9112 §3.2)"

# What fails on kissapi alone, and why that is as it should be.
EXPECTED = {
    "test_gzip_streaming_response": JOINED,
    "test_gzip_streaming_response_identity": JOINED,
    "test_gzip_streaming_response_emits_output_per_chunk": JOINED,
    "test_gzip_ignored_for_responses_with_encoding_set": JOINED,
    "test_gzip_ignored_on_server_sent_events": JOINED,
    "test_https_redirect_middleware_without_server": HOST,
    "test_trusted_host_middleware_ipv6": HOST,
    "test_host_routing_rejects_invalid_hosts": HOST,
    "test_host_routing_ignores_port": HOST,
    # It looks at what a task does after the answer, and does not wait: mostly it fails on uvicorn as well.
    "test_background_task": "the answer has come before the task has begun",
    "test_staticfiles_null_byte_in_path": "a path with NUL is refused before the app (RFC 3986 §7.3)",
}


def main() -> str:
    folder = sources("starlette")
    found = outcomes(folder, PLUGIN, ["tests"], *FLAGS, SERVER="kissapi")
    wrong = failed(found)
    there = outcomes(folder, PLUGIN, wrong, *FLAGS, SERVER="uvicorn") if wrong else {}
    ours = [name for name in wrong if there.get(name) == "PASSED"]
    unexpected = [name for name in ours if function_of(name) not in EXPECTED]
    if unexpected:  # a test with a deadline fails now and then on a busy machine
        unexpected = failed(outcomes(folder, PLUGIN, unexpected, "-n", "0", SERVER="kissapi"))
    for name in ours:
        print(f"{name}: {EXPECTED.get(function_of(name), 'UNEXPECTED' if name in unexpected else 'once')}")
    assert not unexpected, unexpected
    return (
        f"{len(found) - len(wrong)} of {len(found)} pass; {len(wrong) - len(ours)} fail on uvicorn as well; "
        f"{len(ours)} differ, each with a reason"
    )
