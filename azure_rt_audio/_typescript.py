"""
The method names of the TypeScript SDK, for code that was ported from it.

They only delegate, so that a subclass which overrides a canonical method changes both names.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ._session.pending_response import PendingResponse
    from .audio import AudioLike
    from .protocol.events import (
        ConversationItemAdded,
        ConversationItemDeleted,
        ConversationItemTruncated,
        InputAudioBufferCleared,
        InputAudioBufferCommitted,
    )
    from .protocol.items import ConversationItem
    from .protocol.responses import ResponseConfig

__all__ = ["TypeScriptNames"]


class _Client(Protocol):
    """The canonical methods that the names stand for."""

    @property
    def is_initialized(self) -> bool: ...
    def off_all(self) -> None: ...
    def append_audio(self, audio: str | AudioLike, /) -> None: ...
    def commit_audio(self) -> Future[InputAudioBufferCommitted]: ...
    def clear_audio_buffer(self) -> Future[InputAudioBufferCleared]: ...
    def create_conversation_item(
        self, item: ConversationItem | Mapping[str, Any], previous_item_id: str | None, /
    ) -> Future[ConversationItemAdded]: ...
    def delete_item(self, item_id: str, /) -> Future[ConversationItemDeleted]: ...
    def truncate_item(
        self, item_id: str, content_index: int, audio_end_ms: int, /
    ) -> Future[ConversationItemTruncated]: ...
    def create_response(self, config: ResponseConfig | Mapping[str, Any] | None, /) -> PendingResponse: ...
    def cancel_response(self) -> None: ...
    def set_model_speak_done(self) -> None: ...


class TypeScriptNames:
    """camelCase names; each is documented at its snake_case counterpart."""

    @property
    def isInitialized(self: _Client) -> bool:
        """See :attr:`AzureRealTimeAudio.is_initialized`."""
        return self.is_initialized

    def offAll(self: _Client) -> None:
        """See :meth:`AzureRealTimeAudio.off_all`."""
        self.off_all()

    def appendAudio(self: _Client, base64Audio: str | AudioLike) -> None:
        """See :meth:`AzureRealTimeAudio.append_audio`."""
        self.append_audio(base64Audio)

    def commitAudio(self: _Client) -> Future[InputAudioBufferCommitted]:
        """See :meth:`AzureRealTimeAudio.commit_audio`."""
        return self.commit_audio()

    def clearAudioBuffer(self: _Client) -> Future[InputAudioBufferCleared]:
        """See :meth:`AzureRealTimeAudio.clear_audio_buffer`."""
        return self.clear_audio_buffer()

    def createConversationItem(
        self: _Client, item: ConversationItem | Mapping[str, Any], previousItemId: str | None = None
    ) -> Future[ConversationItemAdded]:
        """See :meth:`AzureRealTimeAudio.create_conversation_item`."""
        return self.create_conversation_item(item, previousItemId)

    def deleteItem(self: _Client, itemId: str) -> Future[ConversationItemDeleted]:
        """See :meth:`AzureRealTimeAudio.delete_item`."""
        return self.delete_item(itemId)

    def truncateItem(
        self: _Client, itemId: str, contentIndex: int, audioEndMs: int
    ) -> Future[ConversationItemTruncated]:
        """See :meth:`AzureRealTimeAudio.truncate_item`."""
        return self.truncate_item(itemId, contentIndex, audioEndMs)

    def createResponse(
        self: _Client, responseConfig: ResponseConfig | Mapping[str, Any] | None = None
    ) -> PendingResponse:
        """See :meth:`AzureRealTimeAudio.create_response`."""
        return self.create_response(responseConfig)

    def cancelResponse(self: _Client) -> None:
        """See :meth:`AzureRealTimeAudio.cancel_response`."""
        self.cancel_response()

    def setModelSpeakDone(self: _Client) -> None:
        """See :meth:`AzureRealTimeAudio.set_model_speak_done`."""
        self.set_model_speak_done()
