"""
The method names of the TypeScript SDK, for code that was written with them.

They only delegate, so that a subclass which overrides a canonical method changes both names.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ._session.pending_response import PendingResponse
    from .audio import AudioLike
    from .client import AzureRealTimeAudio
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


def _client(self: TypeScriptNames) -> AzureRealTimeAudio:
    return cast("AzureRealTimeAudio", self)


class TypeScriptNames:
    """camelCase names; each is documented at its snake_case counterpart."""

    @property
    def isInitialized(self) -> bool:
        """See :attr:`AzureRealTimeAudio.is_initialized`."""
        return _client(self).is_initialized

    def offAll(self) -> None:
        """See :meth:`AzureRealTimeAudio.off_all`."""
        _client(self).off_all()

    def appendAudio(self, base64Audio: str | AudioLike) -> None:
        """See :meth:`AzureRealTimeAudio.append_audio`."""
        _client(self).append_audio(base64Audio)

    def commitAudio(self) -> Future[InputAudioBufferCommitted]:
        """See :meth:`AzureRealTimeAudio.commit_audio`."""
        return _client(self).commit_audio()

    def clearAudioBuffer(self) -> Future[InputAudioBufferCleared]:
        """See :meth:`AzureRealTimeAudio.clear_audio_buffer`."""
        return _client(self).clear_audio_buffer()

    def createConversationItem(
        self, item: ConversationItem | Mapping[str, Any], previousItemId: str | None = None
    ) -> Future[ConversationItemAdded]:
        """See :meth:`AzureRealTimeAudio.create_conversation_item`."""
        return _client(self).create_conversation_item(item, previousItemId)

    def deleteItem(self, itemId: str) -> Future[ConversationItemDeleted]:
        """See :meth:`AzureRealTimeAudio.delete_item`."""
        return _client(self).delete_item(itemId)

    def truncateItem(
        self, itemId: str, contentIndex: int, audioEndMs: int
    ) -> Future[ConversationItemTruncated]:
        """See :meth:`AzureRealTimeAudio.truncate_item`."""
        return _client(self).truncate_item(itemId, contentIndex, audioEndMs)

    def createResponse(
        self, responseConfig: ResponseConfig | Mapping[str, Any] | None = None
    ) -> PendingResponse:
        """See :meth:`AzureRealTimeAudio.create_response`."""
        return _client(self).create_response(responseConfig)

    def cancelResponse(self) -> None:
        """See :meth:`AzureRealTimeAudio.cancel_response`."""
        _client(self).cancel_response()

    def setModelSpeakDone(self) -> None:
        """See :meth:`AzureRealTimeAudio.set_model_speak_done`."""
        _client(self).set_model_speak_done()
