"""The examples `rest` and `upload`, asked what their docstrings do not ask. Pages: test_browser.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kissapi.extras.testing import Client

pytest.importorskip("sqlite3", reason="this Python was built without sqlite3")

from examples import rest, upload


@pytest.fixture
def tasks(backend: str) -> Iterator[Client]:
    rest.database.execute("DELETE FROM tasks")
    client = Client(rest.router, backend)
    yield client
    client.close()


def test_a_task_from_beginning_to_end(tasks: Client) -> None:
    assert tasks.get("/tasks").json == []
    answer = tasks.post("/tasks", json={"text": "déjà '); DROP TABLE tasks; --"})
    assert (answer.status, answer.headers["location"]) == (201, "/tasks/1")
    task = {"id": 1, "text": "déjà '); DROP TABLE tasks; --", "done": False}
    assert answer.json == tasks.get(answer.headers["location"]).json == task
    assert tasks.post("/tasks", json={"text": "second"}).json["id"] == 2
    assert tasks.patch("/tasks/1", json={"done": True}).json == {**task, "done": True}
    assert [each["id"] for each in tasks.get("/tasks").json] == [1, 2]
    answer = tasks.delete("/tasks/1")
    assert (answer.status, answer.body) == (204, b"")
    assert [each["id"] for each in tasks.get("/tasks").json] == [2]


@pytest.mark.parametrize("number", [7, 0, 2**63, 10**40])
def test_a_task_that_is_not_there(tasks: Client, number: int) -> None:
    for answer in (
        tasks.get(f"/tasks/{number}"),
        tasks.patch(f"/tasks/{number}", json={"done": True}),
        tasks.delete(f"/tasks/{number}"),
    ):
        assert (answer.status, answer.json) == (404, {"error": f"no task {number}"})


@pytest.mark.parametrize("body", [[], {}, None, "text", {"text": 5}, {"text": None}, {"done": 1}])
def test_what_is_no_task(tasks: Client, body: Any) -> None:
    assert tasks.post("/tasks", json=body).status == 400
    assert tasks.patch("/tasks/1", json=body).status == 400
    assert tasks.get("/tasks").json == []


def test_an_upload_that_breaks_off_leaves_no_file(backend: str) -> None:
    def half() -> Iterator[bytes]:
        yield b"x" * 100_000
        client.wait(1)
        sizes.extend(file.stat().st_size for file in upload.folder.iterdir())
        raise KeyboardInterrupt

    sizes: list[int] = []
    with Client(upload.server, backend) as client:
        with pytest.raises(KeyboardInterrupt):
            client.put("/files/half.bin", body=half())
        client.wait(0)
        assert len(sizes) == 1, "it was not written as it came"
        assert list(upload.folder.iterdir()) == []
        assert client.put("/files/half.bin", body=["whole", b" now"]).json == {"name": "half.bin", "size": 9}
        assert client.get("/files").json == {"half.bin": 9}
    assert not upload.folder.exists()


@pytest.mark.parametrize("name", ["..", ".hidden", "a%2Fb", "..%2Fa", "%C3%A9" * 128])
def test_no_name_leads_elsewhere(backend: str, name: str) -> None:
    with Client(upload.server, backend) as client:
        assert client.put(f"/files/{name}", body="x").status in (400, 404)
        assert list(upload.folder.iterdir()) == []
