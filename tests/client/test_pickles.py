"""What belongs to one process says so when it is pickled, and what to pickle in its place."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from listeners import HANG, Connect

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, SessionConfig, WebSocketOptions

Make = Callable[[AzureRealTimeAudio], Any]

LIVE: dict[str, tuple[Make, str, Make]] = {
    "client": (lambda c: c, "history=client.conversation.to_dict()", lambda c: c.conversation.to_dict()),
    "response": (lambda c: c.create_response(), r"its result\(\) returns", lambda p: p.result(HANG)),
    "future": (lambda c: c.clear_audio_buffer(), r"its result\(\) returns", lambda f: f.result(HANG)),
    "stream": (lambda c: c.events("init", timeout=HANG), "Pickle the events", lambda events: []),
}
"""How each is made of a client, what is said of it, and what to pickle in its place."""


@pytest.mark.parametrize("name", LIVE)
def test_what_lives_in_one_process(name: str, connect: Connect) -> None:
    """Neither a key nor a lock deep inside is what is told."""
    make, said, instead = LIVE[name]
    client = connect(session_config={"modalities": ["text"]})
    client.wait_until_ready(HANG)
    live = make(client)

    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=f"can be neither pickled nor deep-copied: .*{said}"):
            copied(live)
    assert pickle.loads(pickle.dumps(instead(live))) is not None


def test_a_conversation(connect: Connect) -> None:
    """It can be copied, and what history= takes can be pickled."""
    client = connect(session_config={"modalities": ["text"]})
    client.ask("Hello!", timeout=HANG)
    conversation = client.conversation

    with pytest.raises(TypeError, match=r"it goes on. Pickle what its to_dict\(\) returns"):
        pickle.dumps(conversation)
    assert copy.deepcopy(conversation).entries == conversation.entries
    assert pickle.loads(pickle.dumps(conversation.to_dict())) == conversation.to_dict()


def test_options_have_a_hash() -> None:
    """They cannot change, so they can be keys: of a cache of clients, say."""
    facts = {"host_name": "ws://127.0.0.1:1", "api_key": "k", "deployment": "m"}
    one, same, other = (
        AzureRealTimeOptions(**facts, session_config=SessionConfig(instructions=text)) for text in "aab"
    )
    assert (hash(one), {one: 1}) == (hash(same), {same: 1})
    assert one != other

    headers = [WebSocketOptions(headers={"x": value}, sockopt=[(1, 2, 3)]) for value in "aab"]
    assert hash(headers[0]) == hash(headers[1])
    assert len(set(headers)) == 2
