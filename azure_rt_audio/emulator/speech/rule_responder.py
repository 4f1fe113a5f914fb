"""The default responder: it answers by rule, well enough for a demonstration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..model.conversation import Conversation, Item
from ..model.replies import FunctionCall, Reply
from ..model.session import Session

__all__ = ["default_responder"]

_EMPTY_WORDS: Final = (
    "a an and any are as at be by can could do does for from get give given has have how i in is it its me "
    "my of on or please return returns tell that the their this to was what when where which who will with "
    "would you your"
)
_STOP_WORDS: Final = frozenset(_EMPTY_WORDS.split())
_WORD: Final = re.compile(r"[A-Za-z]+")
_NAMES_AFTER: Final = re.compile(
    r"\b(?:in|at|for|to|near|from|of)\s+((?:[A-Z][\w'-]*)(?:\s+[A-Z][\w'-]*)*"
    r"(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+)(?:[A-Z][\w'-]*)(?:\s+[A-Z][\w'-]*)*)*)"
)
_PLACES: Final = "city cities town place location country region address destination harbour where"
_PLACE_WORDS: Final = frozenset(_PLACES.split())
_DAYS: Final = re.compile(
    r"\b(today|tomorrow|tonight|yesterday|(?:mon|tues|wednes|thurs|fri|satur|sun)day|\d{4}-\d{2}-\d{2})\b",
    re.I,
)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_PLACE_MARKS: Final = frozenset(("in", "at", "near", "for", "from"))
_SMALL: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBER_VALUES: Final = {
    **{word: value for value, word in enumerate(_SMALL.split())},
    **{word: 10 * value for value, word in enumerate(_TENS.split(), 2)},
}
_NUMBER_WORDS: Final = re.compile(
    r"\b(?:{0})(?:(?:[\s-]+and)?[\s-]+(?:{0}|hundred))*(?:\s+|\b)".format("|".join(_NUMBER_VALUES)), re.I
)
_TO_SAY: Final = re.compile(r"\bsay exactly\b[^:]*:\s*(.+)", re.I | re.S)
_QUOTED: Final = re.compile("[\"'\u201c\u2018]([^\"'\u201d\u2019]+)[\"'\u201d\u2019]")


def default_responder(conversation: Conversation, session: Session) -> Reply:
    """
    Answer sensibly enough for a demonstration.

    Instructions to say exactly a text are followed. Else a function result is spoken as a sentence; a
    declared tool, or one of an MCP server's, is called when the user's words match its name or description;
    greetings, thanks and "repeat after me" have their answers; anything else is said back.
    """
    if to_say := _TO_SAY.search(session.instructions or ""):
        return Reply(to_say.group(1).strip())
    results = _results_since_user(conversation)
    if results and session.tool_choice != "required":
        return Reply(" ".join(_spoken_result(item, conversation) for item in results))
    if news := _news(conversation):
        return Reply(f"I have news for you. {news}")
    text = conversation.last_user_text
    if not text and conversation.is_user_unintelligible:
        return Reply("I am sorry, I did not understand that. Could you say it again?")
    calls = _calls_for(text, _tools(conversation, session), session.tool_choice)
    if calls:
        return Reply(calls=calls if session.parallel_tool_calls is not False else calls[:1])
    return Reply(_small_talk(text))


def _news(conversation: Conversation) -> str:
    """What a system message says that comes after an answer."""
    latest = conversation.items[-2:]
    is_news = [item.role for item in latest] == ["assistant", "system"]
    return latest[1].text if is_news else ""


def _results_since_user(conversation: Conversation) -> list[Item]:
    results: list[Item] = []
    for item in reversed(_as_known(conversation)):
        if item.type in ("function_call_output", "mcp_call"):
            results.insert(0, item)
        elif item.type == "message" and item.role in ("user", "assistant"):
            break
    return results


def _as_known(conversation: Conversation) -> list[Item]:
    """The items in the order in which they came to be known: a call of a server's tool, when it ended."""
    ended: dict[str, list[Item]] = {}
    for item in conversation:
        if item.ended_after:
            ended.setdefault(item.ended_after, []).append(item)
    return [
        one
        for item in conversation
        for one in (*(() if item.ended_after else (item,)), *ended.get(item.id, ()))
    ]


def _spoken_result(result: Item, conversation: Conversation) -> str:
    call: Item | None = result
    if result.type == "function_call_output":
        calls = (item for item in conversation if item.type == "function_call")
        call = next((item for item in calls if item.call_id == result.call_id), None)
    subject = " ".join(_split_name(call.name)) if call and call.name else "function"
    if result.type == "mcp_call":
        if result.status == "in_progress":
            return f"I am waiting for the {subject}."
        answers = (item.extra for item in conversation if item.type == "mcp_approval_response")
        request_id = result.extra.get("approval_request_id")
        answer = next((one for one in answers if one.get("approval_request_id") == request_id), None)
        if answer is not None and answer.get("approve") is False:
            return f"I am sorry, the {subject} was not allowed."
    if error := result.extra.get("error"):
        return f"I am sorry, the {subject} did not work: {_in_words(error['message'])}."
    try:
        value = json.loads(result.output)
    except (ValueError, RecursionError):
        value = result.output
    if isinstance(value, dict) and "error" in value:
        return f"I am sorry, the {subject} did not work: {_in_words(value['error'])}."
    return f"Here is the result of {subject}: {_in_words(value)}."


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{' '.join(_split_name(str(name)))} {_in_words(held)}" for name, held in value.items()
        )
    if isinstance(value, list):
        return ", ".join(_in_words(element) for element in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value in (None, "") else str(value).strip().rstrip(".")


def _split_name(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[\W_]+", spaced) if word]


def _stems(words: Iterable[str]) -> set[str]:
    """Words that carry meaning, plural and -ing endings dropped."""
    return {re.sub(r"(?:ing|es|s)$", "", word.lower()) for word in words} - _STOP_WORDS - {""}


def _tools(conversation: Conversation, session: Session) -> list[Mapping[str, Any]]:
    """The functions, and the tools of MCP servers that have been listed, in the form of functions."""
    found: list[Mapping[str, Any]] = []
    for tool in session.tools:
        if tool.get("type", "function") == "function":
            found.append(tool)
            continue
        lists = (item.extra for item in conversation if item.type == "mcp_list_tools")
        latest = [one["tools"] for one in lists if one["server_label"] == tool.get("server_label")][-1:]
        found.extend({**one, "parameters": one["input_schema"]} for listed in latest for one in listed)
    return found


def _calls_for(
    text: str, tools: list[Mapping[str, Any]], choice: str | Mapping[str, Any]
) -> tuple[FunctionCall, ...]:
    if not tools or choice == "none":
        return ()
    said = _stems(_WORD.findall(text))
    scored = []
    for tool in tools:
        named = len(said & _stems(_split_name(tool["name"])))
        described = len(said & _stems(_WORD.findall(tool.get("description", ""))))
        scored.append((3 * named + described, named, tool))
    if isinstance(choice, Mapping):
        wanted = choice.get("name") or choice.get("function", {}).get("name")
        chosen = [tool for tool in tools if tool["name"] == wanted]
    else:
        # One word of the name, or two of the description: fewer would call tools by accident.
        chosen = [tool for score, named, tool in scored if named or score >= 2]
        if not chosen and choice == "required":
            chosen = [max(scored, key=lambda entry: entry[0])[2]]
    return tuple(
        FunctionCall(tool["name"], arguments) for tool in chosen for arguments in _arguments(tool, text)
    )


def _arguments(tool: Mapping[str, Any], text: str) -> list[dict[str, Any]]:
    """Arguments for one call, or for several when the user named several places."""
    parameters = tool.get("parameters") or {}
    properties: Mapping[str, Any] = parameters.get("properties") or {}
    required = parameters.get("required") or ()
    numbers = list(_NUMBER.findall(_with_digits(text)))
    common: dict[str, Any] = {}
    place_field: str | None = None
    for name, schema in properties.items():
        about = set(_split_name(name)) | {
            word.lower() for word in _WORD.findall(schema.get("description", ""))
        }
        if schema.get("type", "string") == "string" and "enum" not in schema and about & _PLACE_WORDS:
            place_field = place_field or name
            continue
        value = _value(schema, about, text, numbers, is_required=name in required)
        if value is not None:
            common[name] = value
    if place_field is None:
        return [common]
    places = _places(text)
    if not places and place_field in required:
        places = [_leftover(text)]
    # Keep the order in which the schema declares its fields.
    every = [{place_field: place, **common} for place in places] or [common]
    return [{name: given[name] for name in properties if name in given} for given in every]


def _places(text: str) -> list[str]:
    match = _NAMES_AFTER.search(text)
    if match:
        return re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", match.group(1))
    return _heard_places(text) if text.islower() else []


def _heard_places(text: str) -> list[str]:
    """Places in what a recogniser wrote, which knows no capitals: what follows a word like "in"."""
    places: list[list[str]] = []
    for word in _WORD.findall(text):
        if word in _PLACE_MARKS or (places and word == "and"):
            places.append([])
        elif places and (word in _STOP_WORDS or word in _PLACE_WORDS or _DAYS.fullmatch(word)):
            if any(places):
                break
        elif places:
            places[-1].append(word.capitalize())
    return [" ".join(words) for words in places if words]


def _value(
    schema: Mapping[str, Any], about: set[str], text: str, numbers: list[str], *, is_required: bool
) -> Any:
    options = schema.get("enum")
    if options:
        found = next((o for o in options if str(o).lower() in text.lower()), None)
        return found if found is not None or not is_required else schema.get("default", options[0])
    kind = schema.get("type", "string")
    if kind in ("integer", "number"):
        if numbers:
            number = float(numbers.pop(0))
            return int(number) if kind == "integer" or number.is_integer() else number
        return schema.get("default", schema.get("minimum", 1)) if is_required else None
    if kind == "boolean":
        return schema.get("default", True) if is_required else None
    if kind == "array":
        return [] if is_required else None
    if kind == "object":
        return {} if is_required else None
    day = _DAYS.search(text)
    if day and about & {"date", "day", "when", "time"}:
        return day.group(1)
    quoted = _QUOTED.search(text)
    if quoted:
        return quoted.group(1)
    return _leftover(text) if is_required else schema.get("default")


def _with_digits(text: str) -> str:
    """Write numbers that are words, up to 999, in digits; a recogniser knows no digits."""
    return _NUMBER_WORDS.sub(lambda match: f"{_number(match.group().lower())} ", text)


def _number(words: str) -> int:
    total = 0
    for word in re.split(r"[\s-]+(?:and\s+)?", words.strip()):
        total = (total or 1) * 100 if word == "hundred" else total + _NUMBER_VALUES[word]
    return total


def _leftover(text: str) -> str:
    """The user's words themselves, when nothing better was found."""
    return text.strip().rstrip("?.!") or "unknown"


def _small_talk(text: str) -> str:
    low = text.lower()
    words = set(_WORD.findall(low))
    repeat = re.search(r"(?:repeat after me|please say|^say)\s*[:,]?\s*(.+)", text.strip(), re.I)
    count = re.search(r"count (?:up )?to (\d+)", _with_digits(low))
    heard = re.search(r"\(([\d.]+) seconds of speech\)", low)
    if not text.strip():
        return "Hello! How can I help you?"
    if heard:
        return f"I heard you speak for {heard.group(1)} seconds. What would you like to do next?"
    if repeat:
        return repeat.group(1).strip().strip("\"'")
    if count:
        return ", ".join(str(number) for number in range(1, min(int(count.group(1)), 100) + 1)) + "."
    if words & {"hello", "hi", "hey", "hallo"}:
        return "Hello! I am the emulator. How can I help you today?"
    if words & {"thanks", "thank"}:
        return "You are welcome."
    if words & {"bye", "goodbye"}:
        return "Goodbye, and come back soon."
    if "your name" in low or "who are you" in low:
        return "I am a small emulator of the realtime service, and I live on your own machine."
    if "joke" in words:
        return "Why did the packet cross the network? It was routed."
    said = text.strip()
    stop = "" if said.endswith((".", "?", "!")) else "."
    return f'You said: "{said}{stop}" I am only an emulator, but I am listening.'
