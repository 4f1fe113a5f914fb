"""What a function may take: each kind of type, as the model is told it and as the function is given it."""

from __future__ import annotations

import contextvars
import datetime
import enum
import functools
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field, make_dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import attrs
import numpy
import pytest

from azure_rt_audio import ContentPart, FunctionCallItem
from azure_rt_audio.tools import Tool, ToolContext, ToolError, Tools
from azure_rt_audio.tools.output import output_of
from azure_rt_audio.tools.schema import mismatches

if sys.version_info >= (3, 11):
    from typing import NotRequired
else:
    from typing_extensions import NotRequired  # comes with cattrs there


class Bounds(NamedTuple):
    """Limits, in the attributes that annotated-types gives them."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None


class Predicate(NamedTuple):
    """A condition, as annotated-types has it."""

    func: Callable[[Any], bool]


class Size(enum.Enum):
    """A size."""

    SMALL = 1
    LARGE = 2


@dataclass
class Guest:
    """
    A guest.

    Attributes:
        name: Family name.
        since: The first visit,
            as a day.
    """

    name: str
    since: datetime.date | None = None
    tags: list[str] = field(default_factory=list)


class Table(TypedDict):
    """A table."""

    seats: int
    by_window: NotRequired[bool]


@attrs.define
class Even:
    """An even number."""

    number: int = attrs.field()
    _note: str = ""

    @number.validator
    def _is_even(self, attribute: object, value: int) -> None:
        if value % 2:
            raise ValueError(f"{value} is odd")


@attrs.define
class Titled:
    """
    Has another name in its constructor.

    Attributes:
        name: What it is called.
    """

    name: str = attrs.field(alias="title")


Shifted = make_dataclass(
    "Shifted",
    [("x", int), ("by", InitVar[int], 0)],
    namespace={"__post_init__": lambda self, by: setattr(self, "x", self.x + by)},
)

OBJECT = {"type": "object", "additionalProperties": False}
CASES: list[tuple[Any, dict[str, Any], list[tuple[Any, Any]], list[tuple[Any, str]]]] = [
    (
        Titled,
        {
            **OBJECT,
            "properties": {"title": {"type": "string", "description": "What it is called."}},
            "required": ["title"],
        },
        [({"title": "a"}, Titled(title="a"))],
        [({"name": "a"}, "x.name does not exist; known are title")],
    ),
    (
        Shifted,
        {**OBJECT, "properties": {"x": {"type": "integer"}, "by": {"type": "integer"}}, "required": ["x"]},
        [({"x": 1, "by": 2}, Shifted(3)), ({"x": 1}, Shifted(1))],
        [],
    ),
    (int, {"type": "integer"}, [(3, 3), (3.0, 3)], [(1.5, "x must be an integer, not 1.5"), (None, "null")]),
    (float, {"type": "number"}, [(3, 3.0), (0.5, 0.5)], [("1", "must be a number"), (True, "not true")]),
    (Any, {}, [([1], [1])], []),
    (Literal["a", 2], {"enum": ["a", 2]}, [("a", "a"), (2, 2)], [("b", 'one of "a", 2, not "b"')]),
    (Size, {"enum": [1, 2]}, [(2, Size.LARGE)], [(True, "not true"), (3, "not 3")]),
    (
        int | str | None,
        {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
        [(1, 1), ("1", "1"), (None, None)],
        [([], "x fits none of the types that it may have: []")],
    ),
    (
        datetime.datetime,
        {"type": "string", "format": "date-time"},
        [("2026-11-27T12:00:00Z", datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.timezone.utc))],
        [("noon", "x must be a date-time as ISO 8601 has it")],
    ),
    (
        datetime.date,
        {"type": "string", "format": "date"},
        [("2026-11-27", datetime.date(2026, 11, 27))],
        [("27.11.", "x must be a date")],
    ),
    (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}, [([1, 2], (1, 2))], []),
    (
        tuple[int, int],
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        [([1, 2], (1, 2))],
        [([1], "x must have at least 2 items, not 1"), ([1, 2, 3], "at most 2 items")],
    ),
    (set[str], {"type": "array", "items": {"type": "string"}}, [(["a", "a"], {"a"})], []),
    (
        dict[str, list[Size]],
        {"type": "object", "additionalProperties": {"type": "array", "items": {"enum": [1, 2]}}},
        [({"a": [1]}, {"a": [Size.SMALL]})],
        [({"a": [1, 9]}, "x.a[1] must be one of 1, 2, not 9")],
    ),
    (
        Guest,
        {
            **OBJECT,
            "properties": {
                "name": {"type": "string", "description": "Family name."},
                "since": {
                    "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}],
                    "description": "The first visit, as a day.",
                },
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["name"],
        },
        [({"name": "Ito", "since": "2020-01-02"}, Guest("Ito", datetime.date(2020, 1, 2)))],
        [({"name": "Ito", "tags": [1]}, "x.tags[0] must be a string")],
    ),
    (
        Table,
        {
            **OBJECT,
            "properties": {"seats": {"type": "integer"}, "by_window": {"type": "boolean"}},
            "required": ["seats"],
        },
        [({"seats": 2}, {"seats": 2})],
        [({"by_window": True}, "x.seats is missing")],
    ),
    (
        Even | None,
        {
            "anyOf": [
                {
                    **OBJECT,
                    "properties": {"number": {"type": "integer"}, "note": {"type": "string"}},
                    "required": ["number"],
                },
                {"type": "null"},
            ]
        },
        [({"number": 2, "note": "n"}, Even(2, "n"))],
        [({"number": 3}, "x: 3 is odd"), ({"number": "3"}, 'x.number must be an integer, not "3"')],
    ),
    (
        Annotated[int, "How many.", Bounds(ge=1, lt=10)],
        {"type": "integer", "description": "How many.", "minimum": 1, "exclusiveMaximum": 10},
        [(1, 1)],
        [(0, "x must be at least 1, not 0"), (10, "x must be less than 10, not 10")],
    ),
    (
        Annotated[float | None, Bounds(gt=0, le=1, multiple_of=0.1)],
        {
            "anyOf": [{"type": "number"}, {"type": "null"}],
            "exclusiveMinimum": 0,
            "maximum": 1,
            "multipleOf": 0.1,
        },
        [(0.3, 0.3), (None, None)],
        [(0, "more than 0"), (1.1, "at most 1"), (0.25, "a multiple of 0.1")],
    ),
    (
        Annotated[str, Bounds(min_length=2, max_length=3)],
        {"type": "string", "minLength": 2, "maxLength": 3},
        [("ab", "ab")],
        [("a", "x must have at least 2 characters, not 1"), ("abcd", "at most 3 characters, not 4")],
    ),
    (
        Annotated[list[int], Bounds(max_length=1)],
        {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
        [([1], [1])],
        [([1, 2], "x must have at most 1 items, not 2")],
    ),
    (
        Annotated[list[int], Bounds(min_length=0, max_length=0)],
        {"type": "array", "items": {"type": "integer"}, "maxItems": 0},
        [([], [])],
        [([1], "x must have at most 0 items, not 1")],
    ),
    (
        Annotated[float, Bounds(multiple_of=0.01)],
        {"type": "number", "multipleOf": 0.01},
        [(1234567.89, 1234567.89), (1e308, 1e308), (-0.07, -0.07), (5, 5.0)],
        [(0.001, "x must be a multiple of 0.01"), (1e-300, "a multiple of 0.01")],
    ),
    (
        Annotated[int, Bounds(multiple_of=3)],
        {"type": "integer", "multipleOf": 3},
        [(2**63 - 2, 2**63 - 2)],
        [(2**63 - 1, "x must be a multiple of 3")],
    ),
    (
        Annotated[str, Predicate(str.islower), Predicate(lambda text: "c" not in text)],
        {"type": "string"},
        [("ab", "ab")],
        [("Ab", 'x must not be "Ab": islower() does not hold'), ("abc", 'x must not be "abc"')],
    ),
    (
        Literal[1, True, "1"],
        {"enum": [1, True, "1"]},
        [(1, 1), (True, True), ("1", "1"), (1.0, 1)],
        [(0, "0")],
    ),
    (
        set,
        {"type": "array"},
        [([1, 1], {1})],
        [([1, [2]], "x[1] is a list or an object; a set takes neither")],
    ),
    (
        frozenset[Any],
        {"type": "array", "items": {}},
        [([1], frozenset({1}))],
        [([{}], "x[0] is a list or an object")],
    ),
    (
        set[tuple[int, ...]],
        {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        [([[1], [1]], {(1,)})],
        [],
    ),
]


def tool_of(hint: Any, seen: list[Any]) -> Tool:
    """Return a tool with one parameter of a type, which notes what it is given."""

    def take(x: Any) -> str:
        seen.append(x)
        return "taken"

    take.__annotations__["x"] = hint
    return Tool(take)


def call_of(name: str, arguments: Any) -> FunctionCallItem:
    """Make a call as the model would."""
    return FunctionCallItem(name=name, arguments=json.dumps(arguments), call_id="call_1")


@pytest.mark.parametrize(("hint", "schema", "fitting", "wrong"), CASES, ids=lambda value: str(value)[:30])
def test_a_type_is_declared_built_and_checked(
    hint: Any, schema: dict[str, Any], fitting: list[tuple[Any, Any]], wrong: list[tuple[Any, str]]
) -> None:
    """The model is told the schema; what fits becomes a value of the type, what does not is told."""
    seen: list[Any] = []
    tools = Tools(tool_of(hint, seen))

    assert tools.declarations[0].parameters["properties"]["x"] == schema
    for given, expected in fitting:
        tools.call(call_of("take", {"x": given}))
        assert seen[-1] == expected
        assert type(seen[-1]) is type(expected)
    count = len(seen)
    for given, said in wrong:
        error = json.loads(tools.call(call_of("take", {"x": given})).output)["error"]
        assert said.replace("x", "arguments.x", 1) in error if said.startswith("x") else said in error
    assert len(seen) == count


def test_a_google_docstring_describes_the_parameters() -> None:
    """What ``Annotated`` says comes first; the sections after the arguments are not the model's."""

    def book(guest: str, seats: Annotated[int, "chairs"] = 2, note: str | None = None) -> str:
        """
        Book a table
        for a guest.

        Args:
            guest (str): Who comes:
                the family name.
            seats: not this
            note: Anything else.

        Returns:
            The number of the table.
        """
        return guest

    (declared,) = Tools(book).declarations

    assert declared.description == "Book a table for a guest."
    assert declared.parameters["properties"] == {
        "guest": {"type": "string", "description": "Who comes: the family name."},
        "seats": {"type": "integer", "description": "chairs", "default": 2},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Anything else."},
    }


class Clerk:
    """Has methods."""

    def greet(self, who: str) -> str:
        """Greet someone."""
        return f"hello {who}"

    def __call__(self, who: str) -> str:
        """Greet someone, too."""
        return f"good day {who}"


def test_methods_and_other_callables_are_tools() -> None:
    """A bound method has its name; an object and a partial function need one."""
    tools = Tools(Clerk().greet, Tool(Clerk(), name="clerk"))
    tools.add(Tool(functools.partial(Clerk().greet, "you"), name="greet-you", description="Greet you."))

    assert [tool.name for tool in tools] == ["greet", "clerk", "greet-you"]
    assert [tools.call(call_of(name, {"who": "Ada"})).output for name in ("greet", "clerk")] == [
        "hello Ada",
        "good day Ada",
    ]
    assert tools.call(call_of("greet-you", {})).output == "hello you"
    assert Tool(Clerk().greet)("Bo") == "hello Bo"
    with pytest.raises(TypeError, match=r"Clerk has no name for the model; give one: Tool\(..., name="):
        Tools(Clerk())


def test_a_class_is_a_tool() -> None:
    """It is described by its constructor."""
    tools = Tools(Guest)

    assert list(tools.declarations[0].parameters["properties"]) == ["name", "since", "tags"]
    assert tools.call(call_of("Guest", {"name": "Ada"})).output == '{"name":"Ada","since":null,"tags":[]}'


def test_a_default_that_is_no_value_of_the_type_is_not_told() -> None:
    """Such as what JSON has no word for; the function has it all the same."""

    def search(
        most: float = math.inf,
        size: Size = 3,  # type: ignore[assignment]
        after: str = object(),  # type: ignore[assignment]
        n: int = 5,
        least: float | None = math.nan,
    ) -> str:
        """Search."""
        return f"{most} {size} {n}"

    tools = Tools(search)
    properties = tools.declarations[0].parameters["properties"]
    assert {name: schema["default"] for name, schema in properties.items() if "default" in schema} == {"n": 5}
    assert tools.call(call_of("search", {})).output == "inf 3 5"


def test_a_schema_by_hand_takes_the_place_of_the_signature() -> None:
    """The function is given the JSON values by keyword, after they were checked."""
    schema = {
        "type": "object",
        "properties": {"when": {"oneOf": [{"type": "string"}, {"type": "integer"}]}, "n": {"const": 1}},
        "required": ["when"],
    }
    tools = Tools(Tool(lambda **given: given, name="note", parameters=schema))

    assert tools.declarations[0].parameters == schema
    assert json.loads(tools.call(call_of("note", {"when": 5, "other": []})).output) == {
        "when": 5,
        "other": [],
    }
    assert "arguments.when is missing; arguments.n must be one of 1, not 2" in (
        tools.call(call_of("note", {"n": 2})).output
    )


def test_a_schema_may_have_what_is_not_known_here() -> None:
    """Keywords without a meaning here allow everything; ``false`` allows nothing."""
    assert list(mismatches(1, {"$ref": "#/$defs/a"}, "x")) == []
    assert list(mismatches({"a": 1}, {"properties": {"a": False}}, "x")) == ["x.a is not allowed"]
    assert list(mismatches("a", {"type": ["string", "null"]}, "x")) == []


async def wait(seconds: int) -> str:
    """Wait."""
    return str(seconds)


class AsyncClerk:
    """Is called on an event loop."""

    async def __call__(self) -> str:
        """Answer."""
        return ""


def self_containing(tree: Node) -> str:
    """Take a class that contains itself."""
    return str(tree)


def two_contexts(one: ToolContext, two: ToolContext | None) -> str:
    """Take two contexts."""
    return ""


def of_mixed_tuple(x: tuple[int, str]) -> str:
    """Take a tuple of different types."""
    return str(x)


def of_numbered(x: dict[int, str]) -> str:
    """Take a dict with numbers as keys."""
    return str(x)


def later_than(x: Annotated[datetime.date, Bounds(ge=datetime.date(2026, 1, 1))]) -> str:  # type: ignore[arg-type]
    """Take a limit that is no number."""
    return str(x)


def long_winded(x: Annotated[str, "x" * 1025]) -> str:
    """Take something that is described at length."""
    return x


@dataclass
class Node:
    """A node."""

    children: list[Node]


UNREADABLE = r".*, the annotation of 'x' of take\(\) cannot be read: .*"


MISSPELT = make_dataclass("Misspelt", [("a", int), ("b", "1/0")])


def annotated(text: str) -> Callable[..., Any]:
    """Return a function whose parameter is annotated with a text."""

    def take(x: Any) -> str:
        return str(x)

    take.__annotations__["x"] = text
    return take


@attrs.define(init=False)
class Unmade:
    """Has a constructor of its own, which does not take the fields."""

    x: int

    def __init__(self, y: int) -> None:
        self.x = y


def context_in_front(context: ToolContext, /) -> None:
    """Take a context by position."""


def any_contexts(*contexts: ToolContext) -> None:
    """Take contexts by position."""


def by_hand(**fields: Any) -> Tool:
    """Return a tool with a schema by hand."""
    return Tool(Clerk().greet, parameters={"type": "object", **fields})


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: Tool(wait), TypeError, r"wait\(\) is async.*run_coroutine_threadsafe\(wait\(...\), loop\)"),
        (lambda: Tool(functools.partial(wait, 1), name="w"), TypeError, "async"),
        (lambda: Tool(AsyncClerk(), name="clerk"), TypeError, "async"),
        (lambda: Tool(3), TypeError, "a tool is a function, a method, a Tool or Tools, not int"),
        (lambda: Tool(self_containing), TypeError, "Node, which contains itself"),
        (lambda: Tool(two_contexts), TypeError, "two contexts"),
        (lambda: Tool(of_mixed_tuple), TypeError, "use a dataclass"),
        (lambda: Tool(of_numbered), TypeError, "keys that are no texts"),
        (lambda: Tool(later_than), TypeError, "a model cannot be told"),
        (lambda: Tool(long_winded), ValueError, "parameter 'x' of long_winded.* 1024 characters"),
        (lambda: Tool(Clerk().greet, name="a b"), ValueError, "1 to 64 letters"),
        (lambda: Tool(Clerk().greet, description="x" * 1025), ValueError, "1025 characters; 1024"),
        (lambda: Tool(Clerk().greet, parameters={}), ValueError, '"type": "object"'),
        (lambda: Tool(Clerk().greet, parameters={"type": "object", "x": {1}}), ValueError, "JSON cannot"),
        (lambda: Tool(annotated("list of int")), TypeError, f"'list of int'{UNREADABLE}SyntaxError"),
        (lambda: Tool(annotated("datetime.Foo")), TypeError, f"'datetime.Foo'{UNREADABLE}AttributeError"),
        (lambda: Tool(annotated("1/0")), TypeError, f"'1/0'{UNREADABLE}ZeroDivisionError"),
        (lambda: Tool(annotated("Nowhere")), TypeError, f"{UNREADABLE}.*define the name at the top"),
        (lambda: tool_of(MISSPELT, []), TypeError, r"'1/0', the annotation of 'b' of Misspelt cannot"),
        (lambda: tool_of(Unmade, []), TypeError, "Unmade cannot be made of its fields: .*'x'"),
        *(
            (lambda hint=hint: tool_of(hint, []), TypeError, "is a set of what has no hash: use a list")
            for hint in (set[list[int]], frozenset[dict[str, int]], set[Annotated[set[int], "x"]], set[Guest])
        ),
        (lambda: tool_of(Annotated[int, Bounds(max_length=0)], []), TypeError, "has no length, and Bounds"),
        (
            lambda: tool_of(Annotated[int, Bounds(multiple_of=0)], []),
            TypeError,
            "must be a multiple of 0; only",
        ),
        (lambda: tool_of(Annotated[float, Bounds(ge=math.nan)], []), TypeError, "limited by nan, which"),
        (lambda: tool_of(enum.Enum("E", {"A": math.inf}), []), TypeError, "may be <E.A: inf>, which JSON"),
        (lambda: Tool(max), TypeError, r"max\(\) has no signature.*parameters="),
        (lambda: Tool(dict), TypeError, r"dict\(\) has no signature.*parameters="),
        (lambda: Tool(context_in_front), TypeError, "'context' of context_in_front.* by keyword"),
        (lambda: Tool(any_contexts), TypeError, "'contexts' of any_contexts.* by keyword"),
        (lambda: Tool(math.sqrt, parameters={"type": "object"}), TypeError, "'x' of sqrt.* by keyword"),
        (lambda: by_hand(properties=None), ValueError, r"parameters.properties must be .*, not None"),
        (lambda: by_hand(required="abc"), ValueError, "no JSON Schema: parameters.required must be a list"),
        (lambda: by_hand(items={"type": 3}), ValueError, "parameters.items.type must be a name"),
        (lambda: by_hand(properties={"a": {"minimum": math.nan}}), ValueError, "a.minimum must be a number"),
        (lambda: by_hand(anyOf=[{"maxLength": "3"}]), ValueError, r"anyOf\[0\].maxLength must be a whole"),
        (lambda: Tool(Clerk().greet, errors="no"), ValueError, "errors must be 'hide' or 'tell'"),
        (lambda: Tool(Clerk().greet, max_output=0), ValueError, "max_output"),
        (lambda: Tool(Clerk().greet, executor=3), TypeError, "executor must have submit"),
        (lambda: Tools().add(Tool(Clerk().greet), errors="tell"), TypeError, "has its options already"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_a_remedy(
    make: Callable[[], object], error: type[Exception], said: str
) -> None:
    """At once, where the mistake was made."""
    with pytest.raises(error, match=said):
        make()


def test_one_refused_tool_leaves_the_others_out() -> None:
    """Several are added at once, or none of them."""
    tools = Tools(wind)

    with pytest.raises(ValueError, match="already a tool named 'wind'"):
        tools.update([Clerk().greet, wind])
    assert list(map(str, tools)) == ["<Tool wind>"]
    tools.remove("wind")
    assert (len(tools), "wind" in tools, repr(tools)) == (0, False, "<Tools none>")
    with pytest.raises(KeyError):
        tools.remove("wind")


def wind(force: int, context: ToolContext) -> str:
    """Tell the wind."""
    context.progress("measuring")
    return f"{context.name} {force} for {context.call_id}, {context.cancelled.is_set()}"


def test_a_context_is_injected_and_not_told_to_the_model() -> None:
    """By hand it has no client; what it says goes nowhere."""
    tools = Tools(wind)

    assert list(tools.declarations[0].parameters["properties"]) == ["force"]
    assert tools.call(call_of("wind", {"force": 7})).output == "wind 7 for call_1, False"
    with pytest.raises(RuntimeError, match="the call of wind\\(\\) has no client"):
        _ = ToolContext("call_1", "wind").client


def test_a_context_does_not_go_to_another_process() -> None:
    """A process pool is refused for a tool with a context; a pool of threads is not."""
    with ProcessPoolExecutor(1) as processes, ThreadPoolExecutor(1) as threads:
        with pytest.raises(
            ValueError, match=r"wind\(\) takes a ToolContext, which cannot go to another process"
        ):
            Tools().add(wind, executor=processes)
        assert Tool(wind, executor=threads).executor is threads
        assert Tool(Clerk().greet, executor=processes).executor is processes


SECRET = "password=hunter2"


def leak(how: str) -> str:
    """Fail."""
    if how == "told":
        raise ToolError("the boiler is cold")
    raise ValueError(SECRET)


def test_an_exception_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """The model gets a neutral text; the log has the traceback. Both can be had."""
    tools = Tools(leak, Tool(leak, name="open", errors="tell"))

    hidden = tools.call(call_of("leak", {"how": ""})).output
    assert SECRET not in hidden
    assert json.loads(hidden) == {"error": "the function failed; no more is known"}
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "! tool leak failed")
    assert record.exc_info is not None
    assert SECRET in str(record.exc_info[1])
    caplog.clear()
    assert json.loads(tools.call(call_of("leak", {"how": "told"})).output) == {"error": "the boiler is cold"}
    assert caplog.records == []
    assert SECRET in tools.call(call_of("open", {"how": ""})).output


def test_ctrl_c_in_a_tool_that_is_called_by_hand_reaches_the_caller() -> None:
    """It is the caller's thread."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Tools(interrupted).call(call_of("interrupted", {}))


class Model:
    """Has ``model_dump``, as pydantic's have."""

    def model_dump(self) -> dict[str, Any]:
        """Return its fields."""
        return {"a": {1: Decimal("0.5")}}


class Plot:
    """Shows itself as a picture in a notebook."""

    def _repr_png_(self) -> bytes:
        return b"\x89PNG\r\n\x1a\nplot"


PLOT = "data:image/png;base64,iVBORw0KGgpwbG90"


@pytest.mark.parametrize(
    ("result", "text", "images"),
    [
        ("as it is", "as it is", ()),
        (None, "null", ()),
        ([Guest("Ito", datetime.date(2020, 1, 2))], '[{"name":"Ito","since":"2020-01-02","tags":[]}]', ()),
        ({"even": Even(2), "size": Size.LARGE}, '{"even":{"number":2,"_note":""},"size":2}', ()),
        ([Model(), {1}, (2,)], '[{"a":{"1":"0.5"}},[1],[2]]', ()),
        (math.factorial(21), "51090942171709440000", ()),
        ({2**64: [-(2**63) - 1]}, '{"18446744073709551616":[-9223372036854775809]}', ()),
        (Plot(), "an image, which follows", (PLOT,)),
        ([Plot(), Plot()], "2 images, which follow", (PLOT, PLOT)),
        (["see", Plot()], "see", (PLOT,)),
        ([1, Plot(), 2], "[1,2]", (PLOT,)),
        (b"\xff\xd8\xff", "an image, which follows", ("data:image/jpeg;base64,/9j/",)),
        (ContentPart(type="input_image", image_url=PLOT), "an image, which follows", (PLOT,)),
        ("x" * 31, "x" * 30 + "\n[cut here: 1 more characters]", ()),
    ],
)
def test_a_result_becomes_text_and_images(result: Any, text: str, images: tuple[str, ...]) -> None:
    """Text stays, JSON is written, images are taken out, and what is too long is cut with a note."""
    made = output_of(result, 30 if isinstance(result, str) else 1000)

    assert (made.text, made.images, made.error) == (text, images, None)


def test_a_number_of_any_size_is_a_result() -> None:
    """Python limits the digits of what it writes to 4 300; JSON does not."""
    assert output_of(10**5000).text == "1" + "0" * 5000


def test_arrays_in_any_layout_are_lists() -> None:
    """The rows of a transposed one, and elements that JSON's writer does not know."""
    table = numpy.arange(6).reshape(2, 3)

    assert output_of([table.T, 2**70]).text == "[[[0,3],[1,4],[2,5]],1180591620717411303424]"
    assert output_of({"a": table[:, ::2], "b": numpy.array([1], ">i2")}).text == '{"a":[[0,2],[3,5]],"b":[1]}'
    assert output_of(numpy.array(["a"])).text == '["a"]'


def test_a_result_that_is_no_json_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """The log says so; the model is told that the tool failed."""
    output = Tools(Tool(lambda: object(), name="odd")).call(call_of("odd", {})).output

    assert "failed" in json.loads(output)["error"]
    assert "not JSON" in str(caplog.records[0].exc_info)


@pytest.fixture
def tenant() -> Iterator[contextvars.ContextVar[str]]:
    """A context variable."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")
    token = variable.set("acme")
    yield variable
    variable.reset(token)


def test_a_tool_knows_the_context_in_which_it_was_made(tenant: contextvars.ContextVar[str]) -> None:
    """Threads run it in a copy of that."""
    tool = Tool(lambda: tenant.get(), name="who")
    tenant.set("other")

    assert tool._context.copy().run(tool) == "acme"
