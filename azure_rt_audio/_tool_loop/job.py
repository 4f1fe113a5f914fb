"""One call of a tool, as a thread of the tools runs it. It holds neither the loop nor the client."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ..tools.context import ToolContext
from ..tools.output import ToolOutput
from ..tools.tool import Tool
from .runner import Job

__all__ = ["run_tool"]


def run_tool(
    tool: Tool,
    arguments: str,
    context: ToolContext,
    begin: Callable[[], object],
    answer: Callable[[ToolOutput], object],
    submit: Callable[[Job], bool],
) -> None:
    """
    Run a tool for a call, here or in its executor. Whatever happens between, the call has an output.

    Args:
        arguments: As the model wrote them.
        begin: Called first; returns whether somebody still wants it.
        answer: Called with the output, on a thread of the tools.
        submit: Has a job run on one of them.
    """
    if not begin():
        return
    try:
        outcome = _run(tool, arguments, context)
        if not isinstance(outcome, ToolOutput):
            if not callable(getattr(outcome, "add_done_callback", None)):
                raise TypeError(f"executor.submit() must return a Future, not {type(outcome).__name__}")
            outcome.add_done_callback(functools.partial(_deliver, tool, answer, submit))
            return
    except BaseException as exc:  # noqa: BLE001 - such as an executor that was shut down, or is none
        outcome = tool._failed(exc)
    answer(outcome)


def _run(tool: Tool, arguments: str, context: ToolContext) -> ToolOutput | Future[Any]:
    if tool.executor is None:
        return tool._context.copy().run(tool._answer, arguments, context)
    if not tool._is_in_process:
        return tool.executor.submit(tool._context.copy().run, tool._answer, arguments, context)
    made = tool._arguments(arguments)
    return made if isinstance(made, ToolOutput) else tool.executor.submit(tool.function, **made)


def _deliver(
    tool: Tool,
    answer: Callable[[ToolOutput], object],
    submit: Callable[[Job], bool],
    future: Future[Any],
) -> None:
    """Take the result of an executor. It is sent by a thread of ours: the executor's own have other work."""

    def take() -> None:
        try:
            result = future.result(0)
            output = result if isinstance(result, ToolOutput) else tool._output(result)
        except BaseException as exc:  # noqa: BLE001 - user code, or a pool that broke
            output = tool._failed(exc)
        answer(output)

    if not submit(take):
        take()
