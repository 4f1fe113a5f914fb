"""Tools of which the program has bound some arguments: those are its own, and no parameters."""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable
from typing import Any

import pytest

from azure_rt_audio import FunctionCallItem
from azure_rt_audio.tools import Tool, ToolContext, Tools

PASSWORD = "hunter2"


def read_mail(host: str, password: str, folder: str, count: int = 1) -> str:
    """
    Read mail.

    Args:
        folder: Which mail.
    """
    return f"{host} {password} {folder} {count}"


class Mailbox:
    """Reads mail of a host."""

    def read_mail(self, host: str, password: str, folder: str, count: int = 1) -> str:
        """
        Read mail.

        Args:
            folder: Which mail.
        """
        return read_mail(host, password, folder, count)

    home = functools.partialmethod(read_mail, "home", password=PASSWORD)


class Reader:
    """Read mail."""

    __call__ = functools.partialmethod(Mailbox.read_mail, "home", PASSWORD)


def logged(function: Callable[..., str]) -> Callable[..., str]:
    """Return a function that says what it wraps."""

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> str:
        return function(*args, **named)

    return call


def named(partial: Any) -> Any:
    """Return a partial that has taken over the name and the rest of its function."""
    return functools.update_wrapper(partial, partial.func)


BOUND: dict[str, Callable[..., Any]] = {
    "by position and keyword": functools.partial(read_mail, "home", password=PASSWORD),
    "by keyword": functools.partial(read_mail, host="home", password=PASSWORD),
    "nested": functools.partial(functools.partial(read_mail, "home"), PASSWORD),
    "named": named(functools.partial(read_mail, "home", PASSWORD)),
    "nested and named": functools.partial(named(functools.partial(read_mail, "home")), PASSWORD),
    "of a method": functools.partial(Mailbox().read_mail, "home", password=PASSWORD),
    "a method": Mailbox().home,
    "as a method": types.MethodType(functools.partial(Mailbox.read_mail, password=PASSWORD, host="home"), 1),
    "of an object": functools.partial(Reader()),
    "in an object": Reader(),
    "decorated": logged(functools.partial(read_mail, "home", password=PASSWORD)),
    "of what is decorated": functools.partial(logged(read_mail), "home", password=PASSWORD),
}


@pytest.mark.parametrize("case", BOUND)
def test_what_is_bound_is_no_parameter(case: str) -> None:
    """It is not told to the model, nor taken from it; name and description are those of the function."""
    is_object = "object" in case
    tool = Tool(BOUND[case], name="read_mail" if is_object or case == "decorated" else None)
    tools = Tools(tool)

    def called(**arguments: Any) -> str:
        item = FunctionCallItem(name="read_mail", call_id="c", arguments=json.dumps(arguments))
        return tools.call(item).output

    assert (tool.name, tool.declaration.description) == ("read_mail", "Read mail.")
    assert tool.declaration.parameters["properties"] == {
        "folder": {"type": "string"} if is_object else {"type": "string", "description": "Which mail."},
        "count": {"type": "integer", "default": 1},
    }
    assert called(folder="new", count=2) == f"home {PASSWORD} new 2"
    for name in ("host", "password"):
        assert f"arguments.{name} does not exist" in called(folder="new", **{name: "of the model"})


def test_what_is_bound_is_none_in_a_schema_by_hand() -> None:
    """It is refused there; what the schema does not forbid is not taken from the model either."""

    def send(to: str, password: str, context: ToolContext) -> str:
        """Send."""
        return f"{to} {password} {context.name}"

    bound = functools.partial(send, password=PASSWORD)
    tools = Tools(Tool(bound, parameters={"type": "object"}))
    call = FunctionCallItem(
        name="send", call_id="c", arguments='{"to": "Ada", "password": "x", "context": 1}'
    )

    output = tools.call(call).output
    assert "arguments.password does not exist; arguments.context does not exist" in output
    call = FunctionCallItem(name="send", call_id="c", arguments='{"to": "Ada"}')
    assert tools.call(call).output == f"Ada {PASSWORD} send"
    for name, why in {"password": "is bound by a partial", "context": "takes the context"}.items():
        with pytest.raises(ValueError, match=f"'{name}' of send\\(\\) {why}; leave it out"):
            Tool(bound, parameters={"type": "object", "properties": {name: {}}})


def test_a_context_may_be_bound() -> None:
    """Then it is the program's, not that of the call."""

    def whose(context: ToolContext) -> str:
        """Tell whose."""
        return context.call_id

    tools = Tools(functools.partial(whose, context=ToolContext("mine", "whose")))
    assert tools.call(FunctionCallItem(name="whose", call_id="c", arguments="{}")).output == "mine"
