"""What the user configures."""

from .azure import AzureRealTimeOptions as AzureRealTimeOptions
from .mapping import make_options as make_options
from .reconnect import ReconnectPolicy as ReconnectPolicy
from .websocket import WebSocketOptions as WebSocketOptions
