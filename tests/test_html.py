"""Objects as the value of a notebook's cell."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from listeners import HANG, Connect

from azure_rt_audio import AzureRealTimeAudio, PendingResponse, ServiceError, SessionConfig, TurnDetection
from azure_rt_audio._html import card, facts, player, speech
from azure_rt_audio.audio import read_wav, ulaw_encode
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol.events import ResponseOutputAudioDelta
from azure_rt_audio.protocol.responses import Response
from azure_rt_audio.protocol.session import ClientSecret, Session

NASTY = "<script>alert('&amp;')</script>"


class Reading(HTMLParser):
    """What a browser makes of it: the tags in it, and the text between them."""

    VOID = frozenset({"br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def sound_in(page: str) -> bytes:
    """Return what the player in a page plays, as PCM16."""
    (data,) = re.findall(r'src="data:audio/wav;base64,([^"]*)"', page)
    return read_wav(io.BytesIO(base64.b64decode(data, validate=True)))


@pytest.mark.parametrize(
    "page", [card(NASTY, [], status=NASTY), facts({NASTY: NASTY}), speech([(NASTY, NASTY)])]
)
def test_text_is_never_markup(page: str) -> None:
    """Whatever a model says, the page shows it as it was said."""
    read = Reading(page)

    assert NASTY in read.text
    assert "script" not in read.tags


def test_a_response_shows_what_was_said_and_plays_it(client: AzureRealTimeAudio) -> None:
    """Its text, how it ended, and a player with exactly the sound that came."""
    with client.events(ResponseOutputAudioDelta) as deltas:
        response = client.ask("Hello!", timeout=HANG)
        page = Reading(response._repr_html_())
        came = next(deltas).audio

    assert response.text in page.text
    assert "completed" in page.text
    assert response.audio.startswith(came)
    assert sound_in(response._repr_html_()) == response.audio


def test_a_pending_response_shows_how_far_it_is(connect: Connect) -> None:
    """Before it has begun, and when it is done."""
    with Emulator(pace=0, first_delay=0.2) as service:
        client = connect(service=service)
        pending = client.create_response()
        assert "audio" not in Reading(pending._repr_html_()).tags
        response = pending.result(HANG)

        assert response.text in Reading(pending._repr_html_()).text
        assert sound_in(pending._repr_html_()) == response.audio
        client.close()


def test_a_refused_response_says_why() -> None:
    """The service's words are shown."""
    pending = PendingResponse(lambda: None, lambda: None)
    pending._finish(ServiceError(NASTY))
    page = Reading(pending._repr_html_())

    assert NASTY in page.text
    assert "refused" in page.text


def test_a_response_without_sound_has_no_player() -> None:
    """One that was only reported, or written."""
    assert "audio" not in Reading(Response(status="completed")._repr_html_()).tags
    assert Response(status="completed").audio == b""


def test_telephone_sound_is_played_at_its_rate() -> None:
    """G.711 is decoded, and the player told of its 8 000 Hz."""
    pcm = bytes(range(200)) * 8
    page = player(ulaw_encode(pcm), "g711_ulaw")
    (data,) = re.findall(r'base64,([^"]*)"', page)
    wav = base64.b64decode(data)

    assert int.from_bytes(wav[24:28], "little") == 8_000
    assert len(wav) == 44 + len(pcm)


def test_an_hour_of_sound_is_not_put_into_the_notebook() -> None:
    """Its length is told instead."""
    page = player(bytes(24_000 * 2 * 3600))

    assert "60.0 minutes" in page
    assert len(page) < 1000


def test_a_session_shows_what_is_set_and_no_secret(client: AzureRealTimeAudio) -> None:
    """As the service reports it, and as a configuration."""
    assert client.session is not None
    page = Reading(client.session._repr_html_())
    config = SessionConfig(instructions=NASTY, turn_detection=TurnDetection(threshold=0.7), tools=[])
    configured = Reading(config._repr_html_())
    secret = Session(client_secret=ClientSecret(value="ek_hidden", expires_at=1))._repr_html_()

    assert "alloy" in page.text
    assert NASTY in configured.text
    assert "threshold 0.7" in configured.text
    assert "temperature" not in configured.text
    assert "ek_hidden" not in secret


def test_a_cleared_setting_is_off() -> None:
    """``None`` in a configuration is a choice, and shown."""
    assert "turn detectionoff" in Reading(SessionConfig(turn_detection=None)._repr_html_()).text


def test_a_conversation_shows_both_sides_in_order(client: AzureRealTimeAudio) -> None:
    """Who said what."""
    response = client.ask(NASTY, timeout=HANG)
    page = Reading(client.conversation._repr_html_())

    assert page.text == f"Conversationuser{NASTY}assistant{response.text}"


def test_colours_are_the_pages_own() -> None:
    """No text has a colour of its own but white on a badge, so that a dark theme can be read."""
    page = card("Title", [facts({"a": "b"}), speech([("user", "c")])], status="failed")

    assert re.findall(r"[;\"]color:([^;\"]*)", page) == ["#fff"]
