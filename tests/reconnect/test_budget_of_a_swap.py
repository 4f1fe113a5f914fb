"""A planned swap of a conversation that is longer than what is restored."""

from __future__ import annotations

from listeners import HANG, NO_VAD, Connect, message

from azure_rt_audio.emulator import Emulator


def test_a_conversation_beyond_the_budget_is_swapped_at_once(connect: Connect) -> None:
    """What is said while the other session is prepared is added to it, though the budget is used up."""
    with Emulator(pace=4) as service:
        client = connect(
            service=service,
            session_config=NO_VAD,
            history=[("user", "One"), ("assistant", "Two"), ("user", "Three")],
            reconnect={"max_items": 3},
        )
        client.create_conversation_item(message("Please count to 9."))
        response = client.create_response()
        with client.events("response.output_audio.delta", timeout=HANG) as sound:
            next(sound)
        swapped = client.reconnect()
        service.wait_for_connection(HANG, count=2)
        answer = response.result(HANG).output[0].id
        event = swapped.result(2 * HANG)

        assert len(service.connections) == 2
        assert answer in event.restored
        assert list(event.lost) == ["history_1"]
        assert client.ask("Hello!", timeout=HANG).text.startswith("Hello!")
