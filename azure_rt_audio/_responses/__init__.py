"""Responses that were asked for, from the request to the end: the caller's handle, and the gate behind it."""

from .gate import ResponseGate
from .handle import DEFAULT_TIMEOUT, PendingResponse

__all__ = ["DEFAULT_TIMEOUT", "PendingResponse", "ResponseGate"]
