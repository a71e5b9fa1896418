"""The shadow service, operation by operation, as AWS documents it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serial2iot.emulator.shadow import ShadowKey, Shadows, parse_request

LAMP = ShadowKey("lamp")
PREFIX = "$aws/things/lamp/shadow/"

NOT_UTF8 = "Unsupported documented encoding; supported encoding is UTF-8"
TOO_DEEP = "JSON contains too many levels of nesting; maximum is 8"

Replies = dict[str, Any]


def ask(
    shadows: Shadows, operation: str, request: Any = None, now: float = 1000.9, key: ShadowKey = LAMP
) -> Replies:
    """Return the replies by the end of their topic; `request` is bytes as they are, or a document."""
    if not isinstance(request, bytes):
        request = b"" if request is None else json.dumps(request).encode()
    replies = shadows.request(key, operation, request, now)
    assert all(reply.topic.startswith(key.prefix + "/") for reply in replies)
    return {reply.topic.removeprefix(key.prefix + "/"): json.loads(reply.payload) for reply in replies}


def update(shadows: Shadows, state: Any, now: float = 1000.9, **more: Any) -> Replies:
    return ask(shadows, "update", {"state": state, **more}, now)


def state_of(shadows: Shadows) -> Any:
    return ask(shadows, "get")["get/accepted"]["state"]


def test_the_first_update_makes_the_shadow_and_tells_what_was_asked() -> None:
    replies = update(Shadows(), {"reported": {"connected": True}}, clientToken="token-1")
    assert replies == {
        "update/accepted": {
            "state": {"reported": {"connected": True}},
            "metadata": {"reported": {"connected": {"timestamp": 1000}}},
            "version": 1,
            "timestamp": 1000,
            "clientToken": "token-1",
        },
        "update/documents": {
            "previous": None,
            "current": {
                "state": {"reported": {"connected": True}},
                "metadata": {"reported": {"connected": {"timestamp": 1000}}},
                "version": 1,
            },
            "timestamp": 1000,
            "clientToken": "token-1",
        },
    }


def test_the_conversation_of_the_guide() -> None:
    """A device reports, an app desires, the device follows.

    https://docs.aws.amazon.com/iot/latest/developerguide/using-device-shadows.html
    """
    shadows = Shadows()
    update(shadows, {"reported": {"id": "lamp-21", "rgb": [1, 2, 3]}}, now=10)

    desired = update(shadows, {"desired": {"rgb": [9, 9, 0]}}, now=20)
    assert list(desired) == ["update/accepted", "update/delta", "update/documents"]
    stamps = [{"timestamp": 20}] * 3
    assert desired["update/delta"] == {
        "state": {"rgb": [9, 9, 0]},
        "metadata": {"rgb": stamps},
        "version": 2,
        "timestamp": 20,
    }

    followed = update(shadows, {"reported": {"rgb": [9, 9, 0]}}, now=30)
    assert "update/delta" not in followed
    documents = followed["update/documents"]
    assert documents["previous"]["version"] == 2
    assert documents["previous"]["state"]["reported"] == {"id": "lamp-21", "rgb": [1, 2, 3]}
    assert documents["current"]["version"] == 3
    assert documents["current"]["state"] == {
        "desired": {"rgb": [9, 9, 0]},
        "reported": {"id": "lamp-21", "rgb": [9, 9, 0]},
    }
    assert documents["current"]["metadata"] == {
        "desired": {"rgb": stamps},
        "reported": {"id": {"timestamp": 10}, "rgb": [{"timestamp": 30}] * 3},
    }


def test_get_gives_everything_and_the_delta() -> None:
    shadows = Shadows()
    update(shadows, {"desired": {"led": "on", "mode": {"fan": 3, "heat": 1}}}, now=10)
    update(shadows, {"reported": {"led": "off", "mode": {"fan": 3}}}, now=20)
    assert ask(shadows, "get", {"clientToken": "g"}, now=30)["get/accepted"] == {
        "state": {
            "desired": {"led": "on", "mode": {"fan": 3, "heat": 1}},
            "reported": {"led": "off", "mode": {"fan": 3}},
            "delta": {"led": "on", "mode": {"heat": 1}},
        },
        "metadata": {
            "desired": {
                "led": {"timestamp": 10},
                "mode": {"fan": {"timestamp": 10}, "heat": {"timestamp": 10}},
            },
            "reported": {"led": {"timestamp": 20}, "mode": {"fan": {"timestamp": 20}}},
        },
        "version": 2,
        "timestamp": 30,
        "clientToken": "g",
    }


@pytest.mark.parametrize(
    ("desired", "reported", "delta"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": 2}, {"a": 1}),
        ({"a": 1}, {"b": 1}, {"a": 1}),  # not reported at all
        ({}, {"a": 1}, None),  # nobody asked
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1, 2]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": {"b": 1}}),
        ({"a": True}, {"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.0}, None),
    ],
)
def test_delta(desired: Any, reported: Any, delta: Any) -> None:
    replies = update(Shadows(), {"desired": desired, "reported": reported})
    assert replies.get("update/delta", {}).get("state") == delta


@pytest.mark.parametrize(
    ("patch", "reported"),
    [
        ({"reported": {"a": None}}, {"b": {"c": 2, "d": 3}}),
        ({"reported": {"b": {"c": None}}}, {"a": 1, "b": {"d": 3}}),
        ({"reported": {"b": 7}}, {"a": 1, "b": 7}),
        ({"reported": {"a": {"x": 1}}}, {"a": {"x": 1}, "b": {"c": 2, "d": 3}}),
        ({"reported": {"missing": None}}, {"a": 1, "b": {"c": 2, "d": 3}}),
        ({"reported": {"a": None, "b": None}}, None),
        ({"reported": None}, None),
        (None, None),
        ({}, {"a": 1, "b": {"c": 2, "d": 3}}),
    ],
)
def test_null_removes_and_the_rest_is_merged(patch: Any, reported: Any) -> None:
    shadows = Shadows()
    update(shadows, {"reported": {"a": 1, "b": {"c": 2, "d": 3}}})
    assert update(shadows, patch)["update/accepted"]["version"] == 2
    document = ask(shadows, "get")["get/accepted"]
    assert document["state"].get("reported") == reported
    assert shape(document["metadata"].get("reported")) == shape(reported)


def shape(value: Any) -> Any:
    """Return the keys of a document, without its values."""
    if isinstance(value, dict) and value.keys() != {"timestamp"}:
        return {key: shape(inner) for key, inner in value.items()}
    return None


def nested(levels: int) -> Any:
    """Return an object `levels` deep."""
    return {"x": nested(levels - 1)} if levels > 1 else {"x": 1}


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (b"{", 400, "Invalid JSON"),
        (b"", 400, "Invalid JSON"),
        (b'{"state":{"reported":{"t":NaN}}}', 400, "Invalid JSON"),
        (b'\xef\xbb\xbf{"state":{}}', 400, "Invalid JSON"),
        (b'{"state":{"reported":{"t":"\xff"}}}', 415, NOT_UTF8),
        ('{"state":{}}'.encode("utf-16"), 415, NOT_UTF8),
        (b"[1]", 400, "Missing required node: state"),
        ({}, 400, "Missing required node: state"),
        ({"state": 5}, 400, "State node must be an object"),
        ({"state": {"desired": []}}, 400, "Desired node must be an object"),
        ({"state": {"reported": "x"}}, 400, "Reported node must be an object"),
        ({"state": {"connected": True}}, 400, "State contains an invalid node"),
        ({"state": {"desired": {"rgb": [None, 1]}}}, 400, "State contains an invalid node"),
        ({"state": {}, "version": "1"}, 400, "Invalid version"),
        ({"state": {}, "version": True}, 400, "Invalid version"),
        ({"state": {}, "clientToken": "x" * 65}, 400, "Invalid clientToken"),
        ({"state": {}, "clientToken": 5}, 400, "Invalid clientToken"),
        ({"state": {"desired": nested(9)}}, 400, TOO_DEEP),
        (b"[" * 100_000, 400, TOO_DEEP),
        (b'{"state":{"desired":{"a":' + b"[" * 500 + b"]" * 500 + b"}}}", 400, TOO_DEEP),
        ({"state": {}, "version": 1}, 409, "Version conflict"),
        ({"state": {}, "version": 3}, 409, "Version conflict"),
        ({"state": {"reported": {"text": "x" * 8192}}}, 413, "The payload exceeds the maximum size allowed"),
    ],
)  # fmt: skip
def test_refusals(request_: Any, code: int, message: str) -> None:
    shadows = Shadows()
    update(shadows, {"reported": {"a": 1}})
    update(shadows, {"reported": {"a": 2}})
    replies = ask(shadows, "update", request_)
    assert replies == {"update/rejected": {"code": code, "message": message, "timestamp": 1000}}
    document = shadows.document(LAMP)
    assert document is not None
    assert (document.version, document.state) == (2, {"reported": {"a": 2}})


def test_a_refusal_gives_the_token_back() -> None:
    replies = ask(Shadows(), "update", {"clientToken": "mine"})
    assert replies["update/rejected"]["clientToken"] == "mine"


def test_the_limits_themselves_are_allowed() -> None:
    shadows = Shadows()
    assert "update/accepted" in update(shadows, {"desired": nested(8)}, clientToken="x" * 64)
    assert "update/accepted" in update(shadows, {"desired": None})
    filler = 8192 - len(b'{"t":""}')
    assert "update/accepted" in update(shadows, {"reported": {"t": "x" * filler}})


def test_the_size_counts_what_is_held_not_what_is_sent() -> None:
    shadows = Shadows()
    update(shadows, {"reported": {"t": "x" * 5000}})
    assert update(shadows, {"desired": {"t": "x" * 5000}})["update/rejected"]["code"] == 413
    assert "update/accepted" in update(shadows, {"reported": None, "desired": {"t": "x" * 5000}})


def test_the_current_version_is_accepted() -> None:
    shadows = Shadows()
    assert update(shadows, {"reported": {"a": 1}}, version=0)["update/accepted"]["version"] == 1
    assert update(shadows, {"reported": {"a": 1}}, version=1)["update/accepted"]["version"] == 2


def test_a_deleted_shadow_is_gone_and_its_versions_go_on() -> None:
    shadows = Shadows()
    update(shadows, {"reported": {"a": 1}})
    update(shadows, {"reported": {"a": 2}})
    assert ask(shadows, "delete", {"clientToken": "d"}) == {
        "delete/accepted": {"version": 2, "timestamp": 1000, "clientToken": "d"}
    }
    assert ask(shadows, "get")["get/rejected"]["code"] == 404
    again = update(shadows, {"reported": {"b": 1}})
    assert again["update/accepted"]["version"] == 3
    assert again["update/documents"]["previous"] is None
    assert state_of(shadows) == {"reported": {"b": 1}}


@pytest.mark.parametrize("operation", ["get", "delete"])
@pytest.mark.parametrize("payload", [b"", b"anything", b"\xff", b"[]", b"[" * 100_000])
def test_what_is_not_there_is_not_found_whatever_the_payload(operation: str, payload: bytes) -> None:
    assert ask(Shadows(), operation, payload) == {
        f"{operation}/rejected": {
            "code": 404,
            "message": "No shadow exists with name: 'lamp'",
            "timestamp": 1000,
        }
    }


def test_named_and_classic_shadows_are_apart() -> None:
    shadows, night = Shadows(), ShadowKey("lamp", "night")
    update(shadows, {"reported": {"a": 1}})
    assert ask(shadows, "get", key=night)["get/rejected"]["message"] == "No shadow exists with name: 'night'"
    ask(shadows, "update", {"state": {"reported": {"a": 2}}}, key=night)
    assert state_of(shadows) == {"reported": {"a": 1}}
    assert ask(shadows, "get", key=night)["get/accepted"]["state"] == {"reported": {"a": 2}}


def test_a_delta_that_comes_back_is_ignored() -> None:
    shadows = Shadows()
    replies = update(shadows, {"reported": {"a": 1}, "delta": {"a": 2}})
    assert replies["update/accepted"]["state"] == {"reported": {"a": 1}}
    assert state_of(shadows) == {"reported": {"a": 1}}


def test_text_survives_as_it_is() -> None:
    shadows = Shadows()
    ask(shadows, "update", r'{"state":{"reported":{"unit":"°C","odd":"\ud800"}}}'.encode())
    assert state_of(shadows) == {"reported": {"unit": "°C", "odd": "\ud800"}}


@pytest.mark.parametrize(
    ("topic", "request_"),
    [
        (PREFIX + "update", (LAMP, "update")),
        (PREFIX + "get", (LAMP, "get")),
        (PREFIX + "name/night/delete", (ShadowKey("lamp", "night"), "delete")),
        (PREFIX + "update/accepted", None),
        (PREFIX + "name/update", None),
        ("my/things/lamp/update", None),
    ],
)
def test_topics(topic: str, request_: Any) -> None:
    assert parse_request(topic) == request_
