"""What a conversation gives back is typed: futures, handles, responses, and the SDK's own names."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
from typing_extensions import assert_type

from azure_rt_audio import (
    AzureRealTimeAudio,
    AzureRealTimeOptions,
    Conversation,
    MessageItem,
    ModelStatusEnum,
    PendingResponse,
    Response,
    ResponseConfig,
    Session,
    SessionConfig,
    TurnDetection,
    WebSocketOptions,
    WebSocketState,
)
from azure_rt_audio.protocol.events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    SessionUpdated,
)


def connect() -> AzureRealTimeAudio:
    AzureRealTimeAudio({"hostName": "h", "deployment": "d", "apiKey": "k"}, {"connectTimeout": 3})
    AzureRealTimeAudio({"hostName": "h"}, None, None, dispatcher="none")  # type: ignore[arg-type]
    return AzureRealTimeAudio(
        AzureRealTimeOptions(
            host_name="h",
            deployment="d",
            credential=lambda: "token",
            session_config=SessionConfig(voice="alloy", turn_detection=TurnDetection(threshold=0.5)),
        ),
        WebSocketOptions(ping_interval=None),
    )


def futures(client: AzureRealTimeAudio) -> None:
    item = MessageItem(role="user")
    assert_type(client.commit_audio(), Future[InputAudioBufferCommitted])
    assert_type(client.clear_audio_buffer(), Future[InputAudioBufferCleared])
    assert_type(client.create_conversation_item(item), Future[ConversationItemAdded])
    assert_type(client.create_conversation_item({"type": "message"}, "root"), Future[ConversationItemAdded])
    assert_type(client.delete_item("i"), Future[ConversationItemDeleted])
    assert_type(client.truncate_item("i", 0, 5000), Future[ConversationItemTruncated])
    assert_type(client.retrieve_item("i"), Future[ConversationItemRetrieved])
    assert_type(client.update_session({"voice": "echo"}), Future[SessionUpdated])
    assert_type(client.commit_audio().result(5).item_id, str)


def responses(client: AzureRealTimeAudio) -> None:
    pending = client.create_response(ResponseConfig(modalities=["text"]), if_active="raise")
    assert_type(pending, PendingResponse)
    assert_type(pending.result(5), Response)
    assert_type(pending.text(), Iterator[str])
    assert_type(pending.audio(), Iterator[bytes])
    assert_type(client.ask("Hello"), Response)
    assert_type(client.ask(b"\0\0", response={"modalities": ["text"]}, timeout=None), Response)
    client.create_response(if_active="perhaps")  # type: ignore[arg-type]


def audio(client: AzureRealTimeAudio) -> None:
    client.append_audio("AAAA")
    client.append_audio(b"\0\0")
    client.append_audio(bytearray(2))
    client.append_audio(memoryview(b"\0\0"))
    client.append_audio(array("h", [0]))
    client.append_audio(np.zeros(240, dtype=np.int16))
    client.append_audio(np.zeros(240, dtype=np.float32))
    client.append_audio(5)  # type: ignore[arg-type]


def properties(client: AzureRealTimeAudio) -> None:
    assert_type(client.status, ModelStatusEnum)
    client.status = ModelStatusEnum.LISTENING
    assert_type(client.state, WebSocketState)
    assert_type(client.session, Session | None)
    assert_type(client.conversation, Conversation)
    assert_type(client.is_initialized, bool)
    assert_type(client.close(2.5), bool)


def as_in_the_sdk(client: AzureRealTimeAudio) -> None:
    assert_type(client.isInitialized, bool)
    client.appendAudio("AAAA")
    assert_type(client.commitAudio(), Future[InputAudioBufferCommitted])
    assert_type(client.clearAudioBuffer(), Future[InputAudioBufferCleared])
    assert_type(client.createConversationItem({"type": "message"}), Future[ConversationItemAdded])
    assert_type(client.deleteItem("i"), Future[ConversationItemDeleted])
    assert_type(client.truncateItem("i", 0, 100), Future[ConversationItemTruncated])
    assert_type(client.createResponse(), PendingResponse)
    client.cancelResponse()
    client.setModelSpeakDone()
    client.offAll()
