"""
Write: have a greeting said, ask for a whole answer, then for one that is printed as it arrives.

Threads: all of this runs on the main thread; the client receives on a thread of its own.
"""

from __future__ import annotations

from _service import service

from azure_rt_audio import AzureRealTimeAudio


def main() -> None:
    """Greet, and ask twice."""
    session = {"modalities": ["text"], "instructions": "Answer in one sentence."}
    with service(session) as options, AzureRealTimeAudio(options) as client:
        print(client.say("Welcome! Ask me anything.").result().text)
        print(client.ask("Hello, who are you?").text)

        client.create_conversation_item(
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Please count to 10."}],
            }
        )
        for words in client.create_response().text():
            print(words, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
