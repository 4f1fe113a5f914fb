"""
Go on talking while a tool runs, and hear of its result when there is one.

Threads: the tool runs on a thread of the client; the main thread asks meanwhile.
"""

from __future__ import annotations

import threading

from _service import service

from azure_rt_audio import AzureRealTimeAudio, Tools
from azure_rt_audio.events import ResponseDone, ToolEnded

tools = Tools()
go_on = threading.Event()


@tools.add(background=True)
def make_report(topic: str) -> str:
    """Make a report, which takes long."""
    go_on.wait(20)  # in place of the work
    return f"The report on {topic} has 12 pages."


def main() -> None:
    """Have a report made, ask something else, and wait for what the assistant says of the report."""
    with service({"modalities": ["text"]}) as options, AzureRealTimeAudio(options, tools=tools) as client:
        print(client.ask('Please make report on "tulips".').text)
        print(client.ask("Hello, who are you?").text)
        with client.events(ToolEnded, timeout=30) as ended, client.events(ResponseDone, timeout=30) as done:
            go_on.set()
            print(f"  ({next(ended).name} has ended)")
            print(next(done).response.text)


if __name__ == "__main__":
    main()
