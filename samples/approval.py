"""
Ask the user before a tool runs.

Threads: a listener decides, on the client's thread for listeners; the tool runs on one of its tools' threads.
"""

from __future__ import annotations

import sys

from _service import service

from azure_rt_audio import AzureRealTimeAudio, Tools
from azure_rt_audio.events import ToolApprovalRequested

tools = Tools()


@tools.add(needs_approval=True)
def send_mail(to: str) -> str:
    """Send mail."""
    return f"the mail to {to} was sent"


def decide(request: ToolApprovalRequested) -> None:
    """Ask the user; where nobody sits at a terminal, decide in place of one."""
    if sys.stdin.isatty():
        may_it = input(f"may it? {request} [y/N] ").strip().lower() in ("y", "yes")
    else:
        may_it = "Ada" not in request.arguments
        print(f"may it? {request} -> {'yes' if may_it else 'no'}")
    if may_it:
        request.approve()
    else:
        request.deny("the user has said no")


def main() -> None:
    """Have two mails sent, of which the user allows one."""
    with service({"modalities": ["text"]}) as options, AzureRealTimeAudio(options, tools=tools) as client:
        client.on(ToolApprovalRequested, decide)
        for name in ("Ada", "Bo"):
            print(client.ask(f'Please send mail to "{name}".').text)


if __name__ == "__main__":
    main()
