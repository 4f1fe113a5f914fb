"""Tools: declared from signatures, called with what a model wrote."""

from __future__ import annotations

import enum
import gc
import json
from typing import Annotated, Any, Literal

import pytest
from attrs import define

from azure_rt_audio import AzureRealTimeAudio, FunctionCallItem
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.tools import Tool, ToolError, Tools


class Unit(enum.Enum):
    """A unit of temperature."""

    CELSIUS = "celsius"
    KELVIN = "kelvin"


@define
class Place:
    """Where."""

    city: str
    country: str | None = None


def get_weather(
    city: Annotated[str, "Name of a city, for example Lisbon"], unit: Unit = Unit.CELSIUS, days: int = 1
) -> dict[str, Any]:
    """
    Tell the weather
    of a city.

    Not for the model.
    """
    return {"city": city, "unit": unit, "days": days}


def route(start: Place, via: list[str], mode: Literal["car", "foot"] = "foot") -> str:
    """Find a way."""
    return f"{start.city} by {mode} via {', '.join(via)}"


def fail() -> str:
    """Never work."""
    raise RuntimeError("the boiler is cold")


def call(name: str, arguments: Any) -> FunctionCallItem:
    """Make a call as the model would."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return FunctionCallItem(name=name, arguments=text, call_id="call_1")


def test_a_declaration_follows_from_the_signature() -> None:
    """Name, first paragraph, annotations, descriptions and defaults make the declaration."""
    (tool,) = Tools(get_weather).declarations

    assert (tool.name, tool.description) == ("get_weather", "Tell the weather of a city.")
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of a city, for example Lisbon"},
            "unit": {"enum": ["celsius", "kelvin"], "default": "celsius"},
            "days": {"type": "integer", "default": 1},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_nested_types_are_declared() -> None:
    """Classes of attrs, lists, literals and optional fields have their schema."""
    (tool,) = Tools(route).declarations

    assert tool.parameters["properties"] == {
        "start": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "country": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["city"],
            "additionalProperties": False,
        },
        "via": {"type": "array", "items": {"type": "string"}},
        "mode": {"enum": ["car", "foot"], "default": "foot"},
    }


def test_a_call_gets_arguments_of_the_declared_types() -> None:
    """JSON becomes enumerations and classes; the answer becomes JSON; a string stays as it is."""
    tools = Tools(get_weather, route)

    weather = tools.call(call("get_weather", {"city": "Lisbon", "unit": "kelvin"}))
    way = tools.call(call("route", {"start": {"city": "Porto"}, "via": ["Braga"]}))

    assert weather.call_id == "call_1"
    assert json.loads(weather.output) == {"city": "Lisbon", "unit": "kelvin", "days": 1}
    assert way.output == "Porto by foot via Braga"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("get_wether", {}, "there is no function 'get_wether'"),
        ("get_weather", {}, "arguments.city is missing"),
        (
            "get_weather",
            {"city": "Rome", "planet": "Mars"},
            "arguments.planet does not exist; known are city",
        ),
        ("get_weather", {"city": "Rome", "unit": "ells"}, 'must be one of "celsius", "kelvin", not "ells"'),
        ("get_weather", {"city": "Rome", "days": "7"}, 'arguments.days must be an integer, not "7"'),
        ("get_weather", {"city": "Rome", "days": True}, "arguments.days must be an integer, not true"),
        ("get_weather", "{", "unexpected end of data"),
        ("get_weather", [], "must be a JSON object"),
        (
            "route",
            {"start": {"town": "x"}, "via": []},
            "arguments.start.city is missing; arguments.start.town",
        ),
        ("route", {"start": {"city": "x"}, "via": ["y", 1]}, "arguments.via[1] must be a string, not 1"),
    ],
)
def test_the_model_is_told_what_was_wrong(name: str, arguments: Any, said: str) -> None:
    """A bad call and a failing function become an answer that the model can act on."""
    output = Tools(get_weather, route, fail).call(call(name, arguments)).output

    assert said in json.loads(output)["error"]


@pytest.mark.parametrize("kind", ["told", "crash", "misfits", "many misfits"])
def test_an_error_is_cut_like_a_result(kind: str) -> None:
    """What a model wrote may be in it as often as it likes."""

    def explode(counts: list[int]) -> None:
        """Fail at length."""
        raise (ToolError if kind == "told" else ValueError)("x" * 100_000)

    arguments = {"many misfits": ["x"] * 1000, "misfits": ["x" * 50] * 10}.get(kind, [])
    tools = Tools(Tool(explode, max_output=100, errors="tell"))
    output = tools.call(call("explode", {"counts": arguments})).output

    assert len(output) < 200
    assert "[cut here: " in json.loads(output)["error"]


def test_what_cannot_be_declared_is_refused_at_once() -> None:
    """A missing annotation, a type without schema and a second function of a name raise."""

    def unannotated(city) -> str:  # type: ignore[no-untyped-def]
        return str(city)

    def strange(callback: complex) -> str:
        return str(callback)

    def greedy(*names: str) -> str:
        return str(names)

    with pytest.raises(TypeError, match="'city' of unannotated\\(\\) has no annotation"):
        Tools(unannotated)
    with pytest.raises(TypeError, match="has no JSON Schema"):
        Tools(strange)
    with pytest.raises(TypeError, match="by keyword"):
        Tools(greedy)
    with pytest.raises(ValueError, match="already"):
        Tools(fail, fail)


def test_clients_that_are_gone_leave_nothing() -> None:
    """A set that many clients have had, one after the other, refers to those that live."""

    class Client:
        """Has the set."""

        def check(self, names: object, labels: object = ()) -> None:
            """Refuse nothing."""

        def on_change(self) -> None:
            """Do nothing."""

    tools, clients = Tools(), [Client() for _ in range(4)]
    for client in clients:
        tools._watch(client)
    del clients[1:], client
    gc.collect()
    clients.append(Client())
    tools._watch(clients[1])

    assert [observer() for observer in tools._observers] == clients


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_a_conversation_with_tools(dialect: str) -> None:
    """The model asks for a declared function, gets its answer, and says it."""
    tools = Tools()

    @tools.add
    def get_weather(city: Annotated[str, "Name of a city"]) -> str:
        """Tell the present weather of a city."""
        return f"It is sunny in {city}."

    with Emulator() as service, AzureRealTimeAudio(service.options(dialect)) as client:
        client.update_session({"tools": tools.declarations}).result(5)
        response = client.ask("What is the weather in Lisbon?", timeout=5)
        for wanted in response.function_calls:
            client.create_conversation_item(tools.call(wanted)).result(5)
        said = client.create_response().result(5).text

    assert "sunny in Lisbon" in said
