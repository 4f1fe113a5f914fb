"""One tool: a function for the model to call, and how it is to be run."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final, Literal

from .._arity import check_called_with
from .._log import get_logger
from .._repr import also_half_made
from .._secret import made_without_traces
from ..protocol.events.local import ToolApprovalRequested
from ..protocol.tools import FunctionTool
from .approver import ask_approver
from .checks import check_choice, check_count, check_flag, check_positive_seconds, check_text
from .context import RUNNING, ToolContext
from .declaration import declare
from .output import MAX_OUTPUT_CHARACTERS, ToolError, ToolOutput, error_output, output_of
from .shape import UnfitError

__all__ = ["Tool"]

log: logging.Logger = get_logger(__name__)

FAILED: Final = "the function failed; no more is known"
"""What the model is told of an exception."""


@made_without_traces  # a partial holds what the program has bound, such as a password
class Tool:
    """
    A function for the model to call, with its options.

    The function is declared to the model from its signature. Parameters may be ``str``, ``int``, ``float``,
    ``bool``, ``list``, ``tuple``, ``set``, ``dict``, ``datetime``, ``date``, ``Literal``, enumerations,
    ``X | None``, dataclasses, attrs classes and TypedDicts; ``Annotated`` has their descriptions, and limits
    such as ``annotated_types.Ge(0)``. Without it they are described by an ``Args:`` section of the docstring,
    whose first paragraph is the description of the function. A :class:`ToolContext` is not told to the model.

    It may return text, an image, or anything that JSON can express.

    Args:
        function: A function, bound method or other callable, which may block. Not ``async``. What a
            ``functools.partial`` has bound is not told to the model, and the model cannot replace it; a
            default is told.
        name: In place of the function's name: 1 to 64 letters, digits, ``_`` and ``-``.
        description: In place of that in the docstring; 1 024 characters at most.
        parameters: A JSON Schema in place of the signature. The function is given the arguments by keyword,
            as they are in JSON.
        errors: ``"tell"`` tells the model the text of an exception; with ``"hide"`` it learns only that the
            tool failed, unless that is a :class:`ToolError`.
        max_output: Characters of a result, or of an error; what is longer is cut, and the model is told.
        timeout_s: Seconds after which the model is told that there is no result yet; ``None`` waits for it.
        late: What becomes of a result that comes after that: ``"drop"``, which also sets
            ``ToolContext.cancelled``, or ``"tell"``, as with *background*.
        background: Whether the model is told at once that the tool has been started, and the result in a
            message when it is there, which is answered when the user is silent.
        say_meanwhile: What the model says while the tool runs and nothing else is said, such as
            ``"One moment, please."``: beside the conversation, once for the calls of a response, until the
            user or another answer begins. Not where the protocol has no responses beside the conversation
            (2024-10-01-preview).
        say_meanwhile_after_s: Seconds of silence after which it is said.
        on_duplicate: ``"refuse"`` tells the model to wait if it calls again, with the same arguments, what
            is still running.
        needs_approval: Whether each call has to be approved before it runs, by a listener of
            ``"tool_approval_requested"``. Or a function of the request
            (:class:`~azure_rt_audio.events.ToolApprovalRequested`), called on a thread of the tools, which
            returns ``True`` or ``False``, or why not as text; with ``None`` it decides later. Anything else
            is a no.
        approval_timeout_s: Seconds after which a call that nobody has approved is denied.
        executor: Where it is run, in place of the client's own threads. In a process pool it can have no
            :class:`ToolContext`.

    Raises:
        TypeError: If a parameter has no annotation, or one that JSON Schema cannot express; if it is async.
        ValueError: If the name or a description is not as the service takes it.

    **Threads.** The function runs on threads of the client, several calls at once, each in a copy of the
    context (:mod:`contextvars`) in which the tool was made.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        errors: Literal["hide", "tell"] = "hide",
        max_output: int = MAX_OUTPUT_CHARACTERS,
        timeout_s: float | None = None,
        late: Literal["drop", "tell"] = "drop",
        background: bool = False,
        say_meanwhile: str | None = None,
        say_meanwhile_after_s: float = 2.0,
        on_duplicate: Literal["allow", "refuse"] = "allow",
        needs_approval: bool | Callable[[ToolApprovalRequested], bool | str | None] = False,
        approval_timeout_s: float = 60.0,
        executor: Executor | None = None,
    ) -> None:
        check_text("name", name, or_none=True)
        check_text("description", description, or_none=True)
        self._declaration = declare(function, name=name, description=description, parameters=parameters)
        check_choice("errors", errors, ("hide", "tell"))
        check_choice("late", late, ("drop", "tell"))
        check_choice("on_duplicate", on_duplicate, ("allow", "refuse"))
        check_flag("background", background)
        decides: object = needs_approval
        if callable(decides):
            check_called_with("needs_approval", decides, "the request")
        elif not isinstance(decides, bool):
            kind = type(decides).__name__
            raise TypeError(f"needs_approval must be True, False or a function of the request, not {kind}")
        check_positive_seconds("timeout_s", timeout_s, or_none=True)
        check_positive_seconds("approval_timeout_s", approval_timeout_s)
        check_count("max_output", max_output, "characters")
        if timeout_s is not None and background:
            raise ValueError("a tool in the background keeps nobody waiting: leave timeout_s out")
        if say_meanwhile is not None:
            check_text("say_meanwhile", say_meanwhile)
            if not say_meanwhile.strip():
                raise ValueError("say_meanwhile is empty: there is nothing to say")
            if background:
                raise ValueError("a tool in the background keeps nobody waiting: leave say_meanwhile out")
        check_positive_seconds("say_meanwhile_after_s", say_meanwhile_after_s)
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise TypeError(f"executor must have submit(function), not {type(executor).__name__}")
        self._is_in_process = any(cls.__name__ == "ProcessPoolExecutor" for cls in type(executor).__mro__)
        if self._is_in_process and self._declaration.context_parameter is not None:
            raise ValueError(
                f"{self.name}() takes a ToolContext, which cannot go to another process; use a "
                "ThreadPoolExecutor, or leave the parameter out"
            )
        self.function = function
        self.errors = errors
        self.max_output = max_output
        self.timeout_s = timeout_s
        self.late = late
        self.background = background
        self.say_meanwhile = say_meanwhile
        self.say_meanwhile_after_s = say_meanwhile_after_s
        self.on_duplicate = on_duplicate
        self.needs_approval = needs_approval
        self.approval_timeout_s = approval_timeout_s
        self.executor = executor
        self._context = contextvars.copy_context()

    @also_half_made
    def __repr__(self) -> str:
        return f"<Tool {self.name}>"

    @property
    def name(self) -> str:
        """The name by which the model calls it."""
        return self._declaration.name

    @property
    def declaration(self) -> FunctionTool:
        """What the model is told of it."""
        return self._declaration.tool

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function itself."""
        return self.function(*arguments, **named)

    # ------------------------------------------------------------ a model's call

    def _ask_approver(self, request: ToolApprovalRequested) -> None:
        """Ask the function that approves. Blocks as long as it does."""
        assert callable(self.needs_approval)
        ask_approver(self.needs_approval, self._context, request, f"tool {self.name}")

    def _answer(self, text: str, context: ToolContext) -> ToolOutput:
        """Take what a model wrote, and call the function with it. Blocks as long as that does."""
        RUNNING.set(context)  # in a copy of a context, which ends with the call
        arguments = self._arguments(text)
        return arguments if isinstance(arguments, ToolOutput) else self._run(arguments, context)

    def _arguments(self, text: str) -> dict[str, Any] | ToolOutput:
        """Return the arguments that a model wrote, or what to tell it of their faults."""
        try:
            return self._declaration.arguments(text)
        except UnfitError as exc:
            return error_output(str(exc), exc, self.max_output)
        except BaseException as exc:  # noqa: BLE001 - user code, such as a validator
            return self._failed(exc)

    def _run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        """Call the function; an exception of it is an output as well. Blocks as long as it does."""
        taken = self._declaration.context_parameter
        try:
            return self._output(self.function(**arguments, **({} if taken is None else {taken: context})))
        except BaseException as exc:  # noqa: BLE001 - user code; its thread is not its own to end
            return self._failed(exc)

    def _output(self, result: Any) -> ToolOutput:
        return output_of(result, self.max_output)

    def _failed(self, exc: BaseException) -> ToolOutput:
        """Log an exception, and return what the model is told of it. Raises nothing: a call is answered."""
        try:
            if isinstance(exc, ToolError):
                log.debug("= tool %s told the model of a failure", self.name)
                return error_output(str(exc), exc, self.max_output)
            log.error("! tool %s failed", self.name, exc_info=exc)
            text = f"{type(exc).__name__}: {exc}" if self.errors == "tell" else FAILED
            return error_output(text, exc, self.max_output)
        except BaseException:  # noqa: BLE001 - of its __str__()
            log.error("! tool %s failed with a %s, which has no text", self.name, type(exc).__name__)
            return error_output(FAILED, exc)
