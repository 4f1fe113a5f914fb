"""What the user configures."""

from .azure import AzureRealTimeOptions as AzureRealTimeOptions
from .azure import WebSocketOptions as WebSocketOptions
from .mapping import make_options as make_options
