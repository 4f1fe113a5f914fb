"""
Push to talk, in a window of Tk: hold the button, or the space bar, and talk.

Threads: everything here runs on the window's thread, listeners too; the devices have threads of their own.
"""

from __future__ import annotations

import tkinter as tk
import tkinter.font
from collections.abc import Callable
from itertools import cycle
from typing import Any

from _devices import devices
from _service import service, synthesiser

from azure_rt_audio import (
    AzureRealTimeAudio,
    Closed,
    MessageItem,
    RealtimeError,
    Reconnected,
    Reconnecting,
    StatusChanged,
    TkDispatcher,
    Tool,
)
from azure_rt_audio.devices import MicrophoneLike, SpeakerLike
from azure_rt_audio.emulator import FunctionCall, Reply
from azure_rt_audio.events import (
    ConversationItemAdded,
    ConversationItemInputAudioTranscriptionCompleted,
    ResponseOutputAudioTranscriptDelta,
    ToolApprovalRequested,
    ToolEnded,
    ToolStarted,
)
from azure_rt_audio.voice import Cut, Interrupted, Levels

NIGHT, PANEL, PALE, TEXT = "#16181d", "#20242c", "#8b93a1", "#e8eaee"
YOU, ASSISTANT, LIT, OUT = "#7cc4ff", "#a6e3a1", "#3ddc84", "#2c313b"
COLOURS = {"connecting": "#f2c14e", "idle": "#8b93a1", "listening": "#3ddc84", "thinking": "#b48cff"}
COLOURS |= {"speaking": "#7cc4ff", "reconnecting": "#f2c14e", "closed": "#ff6b6b"}

# Recognised questions and answers of the emulator.
QUESTIONS = cycle(["What is the tallest tree in the world?", "And how old is it?", "Note that, please."])
ANSWERS = cycle(
    [
        "Hyperion, a coast redwood in California. It stands about 116 metres high.",
        "Hyperion is thought to be between 600 and 800 years old, which is young for a redwood.",
        Reply(calls=(FunctionCall("write_note", {"text": "Hyperion: 116 metres, 600 to 800 years"}),)),
        "All right.",
    ]
)


def write_note(text: str) -> str:
    """Write a note into the user's notebook."""
    return f"written: {text}"  # a real one would write it


class PushToTalk:
    """The window."""

    def __init__(
        self,
        root: tk.Tk,
        client: AzureRealTimeAudio,
        microphone: MicrophoneLike | None = None,
        speaker: SpeakerLike | None = None,
    ) -> None:
        self.root = root
        self.client = client
        self.voice = client.talk(microphone, speaker, push_to_talk=True, on_event=self.show_voice)
        self.is_pressed = False
        self.approvals: list[ToolApprovalRequested] = []
        self.build()
        client.on("init", lambda session: self.show_status("idle"))
        client.on(StatusChanged, lambda event: self.show_status(event.status.value))
        client.on(ConversationItemAdded, self.begin_turn)
        client.on(ConversationItemInputAudioTranscriptionCompleted, self.add_heard)
        client.on(ResponseOutputAudioTranscriptDelta, lambda event: self.add(event.item_id, event.delta))
        client.on(Reconnecting, lambda event: self.show_connection("reconnecting", event))
        client.on(Reconnected, lambda event: self.show_connection("idle", event))
        client.on(ToolApprovalRequested, self.ask_approval)
        client.on(ToolStarted, self.end_approval)
        client.on(ToolEnded, self.end_approval)
        client.on("error", self.show_error)
        client.on(Closed, lambda event: self.show_status("closed"))

    def build(self) -> None:
        """Build the widgets."""
        font = tkinter.font.nametofont("TkDefaultFont").actual("family")
        self.root.title("Push to talk")
        self.root.configure(bg=NIGHT, padx=20, pady=16)
        self.root.geometry("460x600")
        head = tk.Frame(self.root, bg=NIGHT)
        head.pack(fill="x")
        self.light = tk.Label(head, bg=NIGHT, text="\N{BLACK CIRCLE}", font=(font, 16))
        self.light.pack(side="left")
        self.status = tk.Label(head, bg=NIGHT, fg=TEXT, font=(font, 11), padx=4)
        self.status.pack(side="left")
        self.hint = tk.Label(self.root, bg=NIGHT, fg=PALE, font=(font, 9), wraplength=420, justify="left")
        self.hint.pack(side="bottom", pady=(10, 0))
        self.button = tk.Canvas(self.root, width=132, height=132, bg=NIGHT, highlightthickness=0)
        self.button.create_oval(4, 4, 128, 128, width=3, outline=PALE, fill=PANEL, tags="disc")
        self.button.create_oval(54, 34, 78, 62, fill=TEXT, width=0, tags="sign")
        self.button.create_rectangle(54, 48, 78, 64, fill=TEXT, width=0, tags="sign")
        self.button.create_oval(54, 52, 78, 76, fill=TEXT, width=0, tags="sign")
        self.button.create_arc(46, 40, 86, 86, start=180, extent=180, style="arc", outline=TEXT, width=4)
        self.button.create_line(66, 86, 66, 98, fill=TEXT, width=4)
        self.button.pack(side="bottom", pady=(14, 0))
        self.meter = tk.Canvas(self.root, height=18, bg=NIGHT, highlightthickness=0)
        self.meter.pack(side="bottom", fill="x", pady=(12, 0))
        self.text = tk.Text(
            self.root, bg=PANEL, fg=TEXT, font=(font, 11), wrap="word", bd=0, padx=16, pady=12, spacing2=4
        )
        self.text.configure(highlightthickness=0, state="disabled", takefocus=False)
        self.text.tag_configure("You", foreground=YOU, font=(font, 9, "bold"), spacing1=10)
        self.text.tag_configure("Assistant", foreground=ASSISTANT, font=(font, 9, "bold"), spacing1=10)
        self.text.tag_configure("note", foreground=PALE, font=(font, 10, "italic"))
        self.text.pack(fill="both", expand=True, pady=(12, 0))
        self.approval = tk.Frame(self.root, bg=PANEL, padx=12, pady=10)
        self.question = tk.Label(self.approval, bg=PANEL, fg=TEXT, wraplength=390, justify="left")
        self.question.pack(anchor="w")
        self.allow = tk.Button(self.approval, text="Allow", command=lambda: self.approvals[0].approve())
        self.deny = tk.Button(
            self.approval, text="Deny", command=lambda: self.approvals[0].deny("the user has said no")
        )
        for button in (self.allow, self.deny):
            button.configure(bg=OUT, fg=TEXT, activebackground=PALE, bd=0, padx=14, highlightthickness=0)
            button.pack(side="left", padx=(0, 8), pady=(8, 0))
        self.button.bind("<ButtonPress-1>", self.press)
        self.button.bind("<ButtonRelease-1>", self.release)
        self.root.bind("<KeyPress-space>", self.press)
        self.root.bind("<KeyRelease-space>", self.release)
        self.root.bind("<Escape>", lambda event: self.voice.interrupt())
        self.show_status("connecting")
        self.show_levels(-100.0, -100.0)

    # Actions of the user.

    def press(self, event: object = None) -> None:
        """Begin to talk; an answer that is being spoken is interrupted."""
        if not self.is_pressed:
            self.is_pressed = True
            self.voice.press()
            self.button.itemconfigure("disc", fill="#1f5c3d", outline=LIT)
            self.show_status("listening")

    def release(self, event: object = None) -> None:
        """Send the question."""
        if self.is_pressed:
            self.is_pressed = False
            self.voice.release()
            self.button.itemconfigure("disc", fill=PANEL, outline=PALE)

    # Events of the service and of the devices.

    def begin_turn(self, event: ConversationItemAdded) -> None:
        """Begin a paragraph for an item; its words arrive later, and not always in order."""
        if isinstance(event.item, MessageItem) and event.item.id is not None:
            who = "You" if event.item.role == "user" else "Assistant"
            self.write("end", f"{who}\n", who)
            self.write("end", "\n")
            self.text.mark_set(event.item.id, "end-2c")

    def add_heard(self, event: ConversationItemInputAudioTranscriptionCompleted) -> None:
        """Show the transcription of the user."""
        self.add(event.item_id, event.transcript.strip())

    def add(self, item_id: str, words: str, tag: str = "") -> None:
        """Add words to the paragraph of an item."""
        if item_id in self.text.mark_names():
            self.write(item_id, words, tag)

    def cut(self, cut: Cut) -> None:
        """Keep of an interrupted answer what was heard, to a word: the words are ahead of the sound."""
        if cut.item_id in self.text.mark_names():
            start = self.text.index(f"{cut.item_id} linestart")
            words = self.text.get(start, cut.item_id)
            heard = words[: len(words) * cut.heard_ms // max(1, cut.received_ms)]
            if len(heard) < len(words):
                heard = heard[: heard.rfind(" ") + 1]
            self.text.configure(state="normal")
            self.text.delete(f"{start} + {len(heard)} chars", cut.item_id)
            self.write(cut.item_id, "… (interrupted)", "note")
            self.text.mark_unset(cut.item_id)  # later words were not heard

    def write(self, where: str, words: str, tag: str = "") -> None:
        """Write into the read-only transcript."""
        self.text.configure(state="normal")
        self.text.insert(where, words, tag)
        self.text.configure(state="disabled")
        self.text.see("end")

    def ask_approval(self, request: ToolApprovalRequested) -> None:
        """Ask whether a tool may run."""
        self.approvals.append(request)
        self.show_approval()

    def end_approval(self, event: ToolStarted | ToolEnded) -> None:
        """It is decided, by a button, or because it took too long."""
        self.approvals = [request for request in self.approvals if request.call_id != event.call_id]
        self.show_approval()

    def show_approval(self) -> None:
        """Show the call that waits first, and its buttons."""
        if self.approvals:
            self.question.configure(text=f"May it run?\n{self.approvals[0]}")
            self.approval.pack(side="bottom", fill="x", pady=(12, 0), before=self.text)
        else:
            self.approval.pack_forget()

    def show_voice(self, event: Any) -> None:
        """Show events of the devices."""
        if isinstance(event, Levels):
            self.show_levels(event.microphone_db if self.is_pressed else -100.0, event.speaker_db)
        elif isinstance(event, Interrupted):
            for cut in event.cuts:
                self.cut(cut)

    def show_levels(self, microphone_db: float, speaker_db: float) -> None:
        """Light the bars of the louder side's level: -60 dB none, 0 dB all."""
        level, colour = max((microphone_db, LIT), (speaker_db, YOU))
        self.loudness = level
        self.meter.delete("all")
        bars = 42
        for bar in range(bars):
            x = bar * 10
            is_lit = bar < (level + 60) / 60 * bars
            self.meter.create_rectangle(x, 2, x + 6, 16, width=0, fill=colour if is_lit else OUT)

    def show_status(self, status: str) -> None:
        """Show the status as a word and a colour."""
        if self.is_pressed and status == "idle":
            status = "listening"
        self.status.configure(text=status.capitalize())
        self.light.configure(fg=COLOURS[status])
        if status != "closed":
            self.hint.configure(
                text="Hold the button or the space bar to talk. Esc stops the answer.", fg=PALE
            )

    def show_connection(self, status: str, event: Reconnecting | Reconnected) -> None:
        """Show that the connection was lost, or what the new one has of the conversation."""
        self.show_status(status)
        self.hint.configure(text=str(event))

    def show_error(self, error: RealtimeError) -> None:
        """Show an error; its message has a remedy."""
        self.hint.configure(text=str(error), fg=COLOURS["closed"])


def main(act: Callable[[PushToTalk], None] | None = None) -> None:
    """Open the window; *act* may press its buttons, as screenshots.py does."""
    session = {
        "instructions": "You are a friendly assistant. Be brief.",
        "turn_detection": None,
    }
    emulator: dict[str, Any] = {
        "recogniser": QUESTIONS,
        "responder": lambda conversation, session: next(ANSWERS),
        "synthesiser": synthesiser(),
    }
    with service(session, first_delay=0.3, **emulator) as options:
        root = tk.Tk()
        tools = [Tool(write_note, needs_approval=True)]
        with AzureRealTimeAudio(options, dispatcher=TkDispatcher(root), tools=tools) as client:
            window = PushToTalk(root, client, *devices())
            with window.voice:
                if act is not None:
                    act(window)
                root.mainloop()


if __name__ == "__main__":
    main()
