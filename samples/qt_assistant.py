"""
A voice assistant in a window of Qt (PySide6): talk to it, or write; interrupt it by talking.

Threads: everything here runs on the window's thread, listeners too; the devices have threads of their own.
"""

from __future__ import annotations

import signal
import sys
from array import array
from collections.abc import Callable
from concurrent.futures import Future
from itertools import cycle
from typing import Any

from _devices import devices
from _service import service, synthesiser
from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from azure_rt_audio import (
    AzureRealTimeAudio,
    AzureRealTimeOptions,
    Closed,
    MessageItem,
    QtDispatcher,
    RealtimeError,
    Reconnected,
    Reconnecting,
    StatusChanged,
    Tool,
)
from azure_rt_audio.emulator import FunctionCall, Reply
from azure_rt_audio.events import (
    ConversationItemAdded,
    ConversationItemInputAudioTranscriptionCompleted,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ToolApprovalRequested,
    ToolEnded,
    ToolStarted,
)
from azure_rt_audio.voice import FirstSound, Levels, VoiceSession

# Recognised questions and answers of the emulator.
QUESTIONS = cycle(["What can I see in Lisbon in one day?", "How do I get to Belém?"])
ANSWERS = cycle(
    [
        "Begin in Alfama, the old quarter, and walk up to the castle for the view. Take tram 28 across the "
        "hills, have lunch in Chiado, and end the day at the tower of Belém, when the light is golden.",
        "Tram 15 goes there from Praça da Figueira, and takes about half an hour.",
        Reply(calls=(FunctionCall("book_table", {"place": "Chiado", "people": 2}),)),
        "There we are.",
    ]
)


def book_table(place: str, people: int) -> str:
    """Book a table in a restaurant."""
    return f"a table for {people} in {place} is booked"  # a real one would call the restaurant


INK, PAPER, CARD, FAINT, ACCENT = "#1d2430", "#f4f6fa", "#ffffff", "#7b8698", "#3867f4"
COLOURS = {"connecting": "#e8a33d", "idle": "#9aa5b5", "listening": "#26a868", "thinking": "#8a5cf6"}
COLOURS |= {"speaking": ACCENT, "reconnecting": "#e8a33d", "closed": "#d9483b"}
STYLE = f"""
    QWidget {{ color: {INK}; font-size: 14px; }}
    QWidget#window {{ background: {PAPER}; }}
    QScrollArea, QScrollArea > QWidget > QWidget {{ background: {PAPER}; border: none; }}
    QLabel#user {{ background: {ACCENT}; color: white; border-radius: 14px; padding: 10px 14px; }}
    QLabel#assistant {{ background: {CARD}; border: 1px solid #e2e7ef; border-radius: 14px;
        padding: 10px 14px; }}
    QLabel#faint {{ color: {FAINT}; font-size: 12px; }}
    QFrame#card, QFrame#card QLabel, QFrame#card QSlider {{ background: {CARD}; }}
    QFrame#card {{ border: 1px solid #e2e7ef; border-radius: 14px; }}
    QFrame#errors, QFrame#errors QLabel {{ background: #fdecea; color: #8c2018; }}
    QFrame#errors {{ border: 1px solid #f3c1bb; border-radius: 12px; }}
    QFrame#approval, QFrame#approval QLabel {{ background: #fff6e5; }}
    QFrame#approval {{ border: 1px solid #f0d6a3; border-radius: 12px; }}
    QLineEdit, QPlainTextEdit {{ background: {CARD}; border: 1px solid #d5dce7; border-radius: 10px;
        padding: 8px 10px; }}
    QPushButton {{ background: {CARD}; border: 1px solid #d5dce7; border-radius: 10px; padding: 8px 14px; }}
    QPushButton:hover {{ border-color: {ACCENT}; }}
    QPushButton#main {{ background: {ACCENT}; color: white; border: none; }}
    QPushButton:checked {{ background: #fdecea; color: #8c2018; }}
"""


class Waveform(QWidget):
    """The sound of the answer, a bar for every 50 ms; the played part is in colour."""

    STEP = 1_200  # frames of 24 000 Hz

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(64)
        self.clear("")

    def clear(self, item_id: str) -> None:
        """Begin another item."""
        self.item_id = item_id
        self.peaks: list[float] = []
        self.rest = array("h")
        self.heard_ms = 0.0
        self.update()

    def add(self, pcm: bytes) -> None:
        """Draw more sound: PCM16, 24 000 Hz, mono."""
        self.rest.frombytes(pcm)
        while len(self.rest) >= self.STEP:
            part, self.rest = self.rest[: self.STEP], self.rest[self.STEP :]
            self.peaks.append(max(map(abs, part)) / 32_768)
        self.update()

    def show_heard(self, milliseconds: float) -> None:
        """Colour the part that has been played."""
        if milliseconds != self.heard_ms:
            self.heard_ms = milliseconds
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - the name is Qt's
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        room = self.width() // 6
        heard = self.heard_ms / 50
        first = max(0, min(int(heard) - room // 2, len(self.peaks) - room))
        for place in range(room):
            bar = first + place
            peak = self.peaks[bar] if bar < len(self.peaks) else 0.0
            height = max(3.0, peak**0.7 * self.height())
            painter.setBrush(QColor(ACCENT if bar < min(heard, len(self.peaks)) else "#cfd7e4"))
            painter.drawRoundedRect(QRectF(place * 6, (self.height() - height) / 2, 3.5, height), 1.7, 1.7)


class Bubbles(QScrollArea):
    """The conversation."""

    PADDING = 40  # left and right of the words, as in the style sheet

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inside = QWidget()
        self.column = QVBoxLayout(inside)
        self.column.setSpacing(10)
        self.column.addStretch()
        self.setWidget(inside)
        self.labels: dict[str, QLabel] = {}
        self.verticalScrollBar().rangeChanged.connect(
            lambda low, high: self.verticalScrollBar().setValue(high)
        )

    def begin(self, item_id: str, role: str | None) -> None:
        """Add a bubble, on its speaker's side."""
        label = QLabel("…")
        label.setObjectName("user" if role == "user" else "assistant")
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.column.addLayout(row(None, label) if role == "user" else row(label, None))
        self.labels[item_id] = label

    def add(self, item_id: str, words: str) -> None:
        """Add words to a bubble."""
        label = self.labels.get(item_id)
        if label is not None:
            label.setText((label.text() + words).removeprefix("…").lstrip())
            label.ensurePolished()
            width = label.fontMetrics().horizontalAdvance(label.text())
            label.setFixedWidth(min(width + self.PADDING, self.width() * 3 // 4))


class Assistant(QWidget):
    """The window."""

    def __init__(self, options: AzureRealTimeOptions) -> None:
        super().__init__()
        self.options = options
        self.setObjectName("window")
        self.setWindowTitle("Assistant")
        self.setStyleSheet(STYLE)
        self.resize(860, 640)
        self.approvals: list[ToolApprovalRequested] = []
        self.build()
        self.clock = QTimer(self)
        self.clock.timeout.connect(self.follow_speaker)
        self.clock.start(40)
        self.connect_client()

    def connect_client(self) -> None:
        """Begin a conversation; also after the connection was lost."""
        self.errors.hide()
        self.show_status("connecting")
        self.client = client = AzureRealTimeAudio(
            self.options, dispatcher=QtDispatcher(self), tools=[Tool(book_table, needs_approval=True)]
        )
        client.on("init", lambda session: self.show_status("idle"))
        client.on(StatusChanged, lambda event: self.show_status(event.status.value))
        client.on(ConversationItemAdded, self.begin_turn)
        client.on(ConversationItemInputAudioTranscriptionCompleted, self.add_heard)
        client.on(
            ResponseOutputAudioTranscriptDelta, lambda event: self.bubbles.add(event.item_id, event.delta)
        )
        client.on(ResponseOutputAudioDelta, self.draw_sound)
        client.on(Reconnecting, lambda event: self.show_connection("reconnecting", event))
        client.on(Reconnected, lambda event: self.show_connection("idle", event))
        client.on(ToolApprovalRequested, self.ask_approval)
        client.on(ToolStarted, self.end_approval)
        client.on(ToolEnded, self.end_approval)
        client.on("error", self.show_error)
        client.on(Closed, lambda event: self.show_status("closed"))
        microphone, speaker = devices()
        self.voice: VoiceSession = client.talk(microphone, speaker, on_event=self.show_voice)
        try:
            self.voice.start()
        except RealtimeError as error:  # without a microphone, text still works
            self.show_error(error)

    # The window.

    def build(self) -> None:
        """Build the widgets."""
        self.lamp, self.status = QLabel("●"), QLabel()
        self.latency = QLabel()
        self.latency.setObjectName("faint")
        self.mute = QPushButton("Mute")
        self.mute.setCheckable(True)
        self.mute.toggled.connect(self.set_mute)
        stop = QPushButton("Stop answer")
        stop.clicked.connect(lambda: self.voice.interrupt())
        head = row(self.lamp, self.status, self.latency, None, self.mute, stop)

        self.errors = QFrame()
        self.errors.setObjectName("errors")
        self.error_text = QLabel()
        self.error_text.setWordWrap(True)
        self.reconnect = QPushButton("Connect again")
        self.reconnect.clicked.connect(self.connect_client)
        dismiss = QPushButton("Close")
        dismiss.clicked.connect(self.errors.hide)
        line = row(self.error_text, self.reconnect, dismiss)
        line.setStretch(0, 1)
        self.errors.setLayout(line)

        self.approval = QFrame()
        self.approval.setObjectName("approval")
        self.question = QLabel()
        self.question.setWordWrap(True)
        self.allow, self.deny = QPushButton("Allow"), QPushButton("Deny")
        self.allow.setObjectName("main")
        self.allow.clicked.connect(lambda: self.approvals[0].approve())
        self.deny.clicked.connect(lambda: self.approvals[0].deny("the user has said no"))
        line = row(self.question, self.allow, self.deny)
        line.setStretch(0, 1)
        self.approval.setLayout(line)
        self.approval.hide()

        self.bubbles = Bubbles()
        self.waveform = Waveform()
        self.line = QLineEdit()
        self.line.setPlaceholderText("Talk, or write here …")
        self.line.returnPressed.connect(self.send_line)
        send = QPushButton("Send")
        send.setObjectName("main")
        send.clicked.connect(self.send_line)

        left = QVBoxLayout()
        left.setSpacing(12)
        left.addLayout(head)
        left.addWidget(self.errors)
        left.addWidget(self.bubbles, 1)
        left.addWidget(self.approval)
        left.addWidget(self.waveform)
        left.addLayout(row(self.line, send))
        everything = QHBoxLayout(self)
        everything.setContentsMargins(18, 16, 18, 18)
        everything.setSpacing(18)
        everything.addLayout(left, 1)
        everything.addWidget(self.build_settings())

    def build_settings(self) -> QFrame:
        """The panel with the session's settings."""
        self.voice_name, self.detection = QComboBox(), QComboBox()
        self.voice_name.addItems(["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"])
        self.detection.addItem("by silence", "server_vad")
        self.detection.addItem("by meaning", "semantic_vad")
        self.silence = QSlider(Qt.Orientation.Horizontal)
        self.silence.setRange(200, 2_000)
        self.silence.setValue(600)
        silence_text = QLabel("600 ms")
        self.silence.valueChanged.connect(lambda value: silence_text.setText(f"{value} ms"))
        self.instructions = QPlainTextEdit("You are a friendly assistant. Be brief.")
        apply = QPushButton("Apply")
        apply.setObjectName("main")
        apply.clicked.connect(self.apply_settings)
        self.applied = QLabel()
        self.applied.setObjectName("faint")
        self.applied.setWordWrap(True)

        card = QFrame()
        card.setObjectName("card")
        card.setFixedWidth(260)
        form = QFormLayout(card)
        form.setContentsMargins(16, 16, 16, 16)
        form.setVerticalSpacing(12)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        form.addRow("Voice", self.voice_name)
        form.addRow("The end of a turn is found", self.detection)
        form.addRow("after a silence of", self.silence)
        form.addRow("", silence_text)
        form.addRow("Instructions", self.instructions)
        form.addRow(apply)
        form.addRow(self.applied)
        return card

    # Actions of the user.

    def send_line(self) -> None:
        """Ask in writing; the answer is spoken."""
        words = self.line.text().strip()
        if words and self.client.is_initialized:
            self.line.clear()
            self.voice.interrupt()
            content = [{"type": "input_text", "text": words}]
            self.client.create_conversation_item({"type": "message", "role": "user", "content": content})
            self.client.create_response()

    def set_mute(self, is_muted: bool) -> None:
        """Mute the microphone: silence is sent."""
        self.voice.is_muted = is_muted

    def apply_settings(self) -> None:
        """Change the session; the service acknowledges or refuses it later."""
        detection: dict[str, Any] = {"type": self.detection.currentData()}
        if detection["type"] == "server_vad":
            detection["silence_duration_ms"] = self.silence.value()
        change = {
            "voice": self.voice_name.currentText(),
            "instructions": self.instructions.toPlainText(),
            "turn_detection": detection,
        }
        try:
            self.client.update_session(change).add_done_callback(self.show_applied)
        except RealtimeError as error:
            self.show_error(error)

    def show_applied(self, done: Future[Any]) -> None:
        """Show whether the change was accepted; the error listener shows a refusal."""
        self.applied.setText("not changed" if done.exception() else "changed")

    # Events of the service and of the devices.

    def begin_turn(self, event: ConversationItemAdded) -> None:
        """Make a bubble for an item; its words arrive later, and not always in order."""
        if isinstance(event.item, MessageItem) and event.item.id is not None:
            self.bubbles.begin(event.item.id, event.item.role)
            for part in event.item.content or []:
                if part.type == "input_text":
                    self.bubbles.add(event.item.id, part.text or "")

    def add_heard(self, event: ConversationItemInputAudioTranscriptionCompleted) -> None:
        """Show the transcription of the user."""
        self.bubbles.add(event.item_id, event.transcript.strip())

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
        self.question.setText(f"May it run? {self.approvals[0]}" if self.approvals else "")
        self.approval.setVisible(bool(self.approvals))

    def draw_sound(self, event: ResponseOutputAudioDelta) -> None:
        """Draw the audio that will be played."""
        if event.item_id != self.waveform.item_id:
            self.waveform.clear(event.item_id)
        self.waveform.add(event.audio)

    def follow_speaker(self) -> None:
        """Colour the part that has been played."""
        self.waveform.show_heard(self.voice.speaker.played_ms(self.waveform.item_id))

    def show_voice(self, event: Any) -> None:
        """Show events of the devices."""
        if isinstance(event, FirstSound) and event.latency_ms is not None:
            self.latency.setText(f"answered after {event.latency_ms:.0f} ms")
        elif isinstance(event, Levels):
            self.lamp.setToolTip(f"{event.microphone_db:.0f} dB")

    def show_status(self, status: str) -> None:
        """Show the status as a word and a colour."""
        self.status.setText(status.capitalize())
        self.lamp.setStyleSheet(f"color: {COLOURS[status]}; font-size: 18px;")
        self.reconnect.setVisible(status == "closed")
        if status == "closed" and self.errors.isHidden():
            self.error_text.setText("The conversation is over.")
            self.errors.show()

    def show_connection(self, status: str, event: Reconnecting | Reconnected) -> None:
        """Show that the connection was lost, or what the new one has of the conversation."""
        self.show_status(status)
        self.latency.setText(str(event))

    def show_error(self, error: RealtimeError) -> None:
        """Show an error; its message has a remedy."""
        self.error_text.setText(str(error))
        self.errors.show()


def row(*widgets: QWidget | None) -> QHBoxLayout:
    """Return widgets side by side; ``None`` is a space."""
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget) if widget is not None else layout.addStretch()
    return layout


def main(act: Callable[[Assistant], None] | None = None) -> None:
    """Open the window; *act* may press its buttons, as screenshots.py does."""
    session = {
        "instructions": "You are a friendly assistant. Be brief.",
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 600},
    }
    emulator: dict[str, Any] = {
        "recogniser": QUESTIONS,
        "responder": lambda conversation, session: next(ANSWERS),
        "synthesiser": synthesiser(),
    }
    with service(session, first_delay=0.3, **emulator) as options:  # seconds, as a model needs
        application = QApplication(sys.argv[:1])
        application.setStyle("Fusion")  # which looks the same everywhere
        signal.signal(signal.SIGINT, lambda *_: application.quit())  # at the timer's next tick
        window = Assistant(options)
        window.show()
        if act is not None:
            act(window)
        application.exec()
        window.voice.close()
        window.client.close()


if __name__ == "__main__":
    main()
