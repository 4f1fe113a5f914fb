"""What the user configures."""

from .azure import AzureRealTimeOptions as AzureRealTimeOptions
from .azure import make_options as make_options
from .websocket import WebSocketOptions as WebSocketOptions
