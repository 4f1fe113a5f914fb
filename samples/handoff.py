"""
Hand the conversation over to another assistant, and back.

Each assistant is its instructions and its tools, and one of these hands over. The conversation is kept, so
the customer says nothing twice.

Threads: the tools run on threads of the client; the main thread waits for the final answers.
"""

from __future__ import annotations

from typing import Annotated

from _service import service

from azure_rt_audio import AzureRealTimeAudio, ToolContext

RECEPTION = "You are the reception of a bicycle shop. Hand over to billing whoever asks about money."
BILLING = "You look after the bills of a bicycle shop. Hand over to the reception for anything else."


def open_hours() -> str:
    """Tell when the shop is open."""
    return "from 9 to 18, Monday to Saturday"


def to_billing(context: ToolContext) -> str:
    """Hand over to billing."""
    context.client.become(BILLING, tools=[find_invoice, to_reception])
    return "you are billing now: go on with what the customer wants"


def find_invoice(number: Annotated[int, "Number of the invoice"]) -> dict[str, str]:
    """Find what an invoice comes to, and whether it is paid."""
    return {"invoice": f"number {number}", "amount": "48 euros", "paid": "no"}


def to_reception(context: ToolContext) -> str:
    """Hand over to the reception."""
    context.client.become(RECEPTION, tools=[open_hours, to_billing])
    return "you are the reception now: go on with what the customer wants"


def main() -> None:
    """Ask both assistants."""
    session = {"modalities": ["text"], "instructions": RECEPTION}
    with (
        service(session) as options,
        AzureRealTimeAudio(options, tools=[open_hours, to_billing]) as client,
    ):
        for question in (
            "When is the shop open, at what hours?",
            "Please let me speak to billing.",
            "How much is invoice 1207?",
            "Back to the reception, please.",
        ):
            print(f"> {question}")
            print(client.ask(question).text)
            print("  (tools now:", ", ".join(tool.name for tool in client.tools) + ")")


if __name__ == "__main__":
    main()
