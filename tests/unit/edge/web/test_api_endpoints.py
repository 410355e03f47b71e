"""/v1/endpoints: what fails, what is paused, and how it goes on."""

from storage.endpoints import EndpointRecord
from tests.unit.edge.conftest import START_MS
from tests.unit.edge.web.harness import OTHER_TOKEN, Scene

HOOK = "https://example.net/hook"


def fails(scene: Scene, handler: str = "webhook", url: str = HOOK, paused_at: int | None = START_MS) -> None:
    """An endpoint of the account `demo`."""
    scene.put(EndpointRecord(scene.account.id, handler, url, START_MS, paused_at, "http_error", START_MS))


def shown(scene: Scene) -> list[tuple[str, str, bool]]:
    reply = scene.call("GET", "/v1/endpoints")
    assert reply.status == 200
    return [(item["handler"], item["url"], item["paused_at"] is not None) for item in reply.json["endpoints"]]


def test_failing_and_paused_ones_are_shown_to_their_owner(scene: Scene) -> None:
    assert shown(scene) == []
    fails(scene)
    fails(scene, "status", "https://example.net", None)
    assert shown(scene) == [("status", "https://example.net", False), ("webhook", HOOK, True)]
    one = scene.call("GET", "/v1/endpoints").json["endpoints"][1]
    assert one["failing_since"] == one["last_failed_at"] == one["paused_at"]
    assert one["last_outcome"] == "http_error"
    assert scene.call("GET", "/v1/endpoints", token=OTHER_TOKEN).json == {"endpoints": []}


def test_any_handlers_endpoint_is_resumed(scene: Scene) -> None:
    fails(scene)
    fails(scene, "status", "https://example.net")
    status = {"handler": "status", "url": "https://example.net"}
    deep = {"handler": "status", "url": "https://example.net/s/7?x=1"}
    assert scene.call("POST", "/v1/endpoints/resume", status, token=OTHER_TOKEN).status == 404
    reply = scene.call("POST", "/v1/endpoints/resume", deep)
    assert (reply.status, reply.json) == (200, status)
    assert shown(scene) == [("webhook", HOOK, True)]
    assert scene.call("POST", "/v1/endpoints/resume", status).json["code"] == "endpoint_unknown"
    hook = {"handler": "webhook", "url": f"{HOOK}?token=x"}
    assert scene.call("POST", "/v1/endpoints/resume", hook).status == 200
    assert shown(scene) == []
    assert scene.call("POST", "/v1/endpoints/resume", {"handler": "webhook"}).json["code"] == "member_missing"
    assert scene.call("GET", "/v1/endpoints/other").status == 404
