"""
A synchronous, threaded client for the Azure OpenAI Realtime API.

``AzureRealTimeAudio`` is a conversation, ``AzureRealTimeOptions`` says with which service. Events are in
:mod:`azure_rt_audio.events`, errors in :mod:`azure_rt_audio.errors`, and
:mod:`azure_rt_audio.emulator` is the service in miniature, for work without an account. The documentation
begins with docs/index.md.
"""

from ._recorder import Recorder
from ._secret import Secret
from ._session.listeners import Subscription
from ._session.pending_response import PendingResponse
from ._transport import WebSocketState
from ._version import __version__
from .client import AzureRealTimeAudio
from .dispatch import (
    Dispatcher,
    InlineDispatcher,
    NotebookDispatcher,
    QtDispatcher,
    QueueDispatcher,
    TkDispatcher,
    WorkerDispatcher,
)
from .errors import (
    BrokenExtraError,
    ConnectError,
    ConnectionClosedError,
    DecodeError,
    DispatchOverflowError,
    McpListingError,
    MissingExtraError,
    RealtimeError,
    RecordingError,
    ResponseActiveError,
    ResponseIncompleteError,
    ResponseLostError,
    ResponseSupersededError,
    ServiceError,
    TranscriptionFailedError,
)
from .options import AzureRealTimeOptions, ReconnectPolicy, WebSocketOptions
from .protocol.base import UNSET
from .protocol.conversation import Conversation, ConversationEntry
from .protocol.events.local import Closed, Init, Reconnected, Reconnecting, SendLag, StatusChanged
from .protocol.items import ContentPart, FunctionCallItem, FunctionCallOutputItem, MessageItem
from .protocol.responses import Response, ResponseConfig
from .protocol.session import InputAudioTranscription, NoiseReduction, Session, SessionConfig, TurnDetection
from .protocol.tools import FunctionTool, ToolChoice
from .protocol.turn import ModelStatusEnum
from .tools import McpServer, Tool, ToolContext, ToolError, Tools

__all__ = [
    "UNSET",
    "AzureRealTimeAudio",
    "AzureRealTimeOptions",
    "BrokenExtraError",
    "Closed",
    "ConnectError",
    "ConnectionClosedError",
    "ContentPart",
    "Conversation",
    "ConversationEntry",
    "DecodeError",
    "DispatchOverflowError",
    "Dispatcher",
    "FunctionCallItem",
    "FunctionCallOutputItem",
    "FunctionTool",
    "Init",
    "InlineDispatcher",
    "InputAudioTranscription",
    "McpListingError",
    "McpServer",
    "MessageItem",
    "MissingExtraError",
    "ModelStatusEnum",
    "NoiseReduction",
    "NotebookDispatcher",
    "PendingResponse",
    "QtDispatcher",
    "QueueDispatcher",
    "RealtimeError",
    "ReconnectPolicy",
    "Reconnected",
    "Reconnecting",
    "Recorder",
    "RecordingError",
    "Response",
    "ResponseActiveError",
    "ResponseConfig",
    "ResponseIncompleteError",
    "ResponseLostError",
    "ResponseSupersededError",
    "Secret",
    "SendLag",
    "ServiceError",
    "Session",
    "SessionConfig",
    "StatusChanged",
    "Subscription",
    "TkDispatcher",
    "Tool",
    "ToolChoice",
    "ToolContext",
    "ToolError",
    "Tools",
    "TranscriptionFailedError",
    "TurnDetection",
    "WebSocketOptions",
    "WebSocketState",
    "WorkerDispatcher",
    "__version__",
]
