"""A real Jupyter kernel to run cells in."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_client.manager import KernelManager

BOUND = 60.0
"""Seconds after which something hangs; nothing here takes them."""


class Cell:
    """What came of one run of a cell, at once and later."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.messages: list[dict[str, Any]] = []
        self.reply: dict[str, Any] | None = None
        self.is_idle = False

    @property
    def printed(self) -> str:
        """What was printed into it."""
        return self._stream("stdout")

    @property
    def complained(self) -> str:
        """What was printed into it as an error is, which may come in the middle of the other."""
        return self._stream("stderr")

    def _stream(self, name: str) -> str:
        texts = [m["content"] for m in self.messages if m["msg_type"] == "stream"]
        return "".join(text["text"] for text in texts if text["name"] == name)

    @property
    def displayed(self) -> list[str]:
        """The texts of what was displayed in it."""
        return [m["content"]["data"]["text/plain"] for m in self.messages if m["msg_type"] == "display_data"]

    @property
    def result(self) -> dict[str, str]:
        """The value of its last expression, in every form."""
        (data,) = [m["content"]["data"] for m in self.messages if m["msg_type"] == "execute_result"]
        return dict(data)

    @property
    def error(self) -> str | None:
        """The class of the exception that ended it."""
        assert self.reply is not None
        return self.reply["content"].get("ename")


class Kernel:
    """A kernel, and the cells that were run in it."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.cells: dict[str, Cell] = {}
        self.comms: list[dict[str, Any]] = []
        self._connect()

    def _connect(self) -> None:
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=BOUND)

    def start(self, code: str, cell_id: str | None = None) -> Cell:
        """Begin to run a cell, as JupyterLab does if it has an id, as a plain client does otherwise."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        metadata = {} if cell_id is None else {"cellId": cell_id}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        cell = self.cells[message["header"]["msg_id"]] = Cell(message["header"]["msg_id"])
        self.client.shell_channel.send(message)
        return cell

    def run(self, code: str, cell_id: str | None = None) -> Cell:
        """Run a cell to its end, however that is."""
        cell = self.start(code, cell_id)
        self.finish(cell)
        return cell

    def ok(self, code: str, cell_id: str | None = None) -> Cell:
        """Run a cell that must succeed."""
        cell = self.run(code, cell_id)
        assert cell.reply is not None
        assert cell.reply["content"]["status"] == "ok", "\n".join(cell.reply["content"]["traceback"])
        return cell

    def value(self, expression: str) -> Any:
        """Return what an expression of plain values is worth, leaving no trace in the history."""
        reply = self.client.execute(
            "", silent=True, user_expressions={"value": expression}, reply=True, timeout=BOUND
        )
        answer = reply["content"]["user_expressions"]["value"]
        assert answer["status"] == "ok", answer
        return eval(answer["data"]["text/plain"])

    def finish(self, cell: Cell) -> None:
        """Wait until a cell has ended."""
        while cell.reply is None:
            reply = self.client.get_shell_msg(timeout=BOUND)
            parent = reply["parent_header"].get("msg_id")
            if parent in self.cells:
                self.cells[parent].reply = reply
        self.until(lambda: cell.is_idle)

    def until(self, is_so: Any) -> None:
        """Take what the kernel publishes until *is_so*."""
        deadline = time.monotonic() + BOUND
        while not is_so():
            came = {cell.message_id: [m["content"] for m in cell.messages] for cell in self.cells.values()}
            assert time.monotonic() < deadline, f"nothing came of it: {came}"
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            if message["msg_type"].startswith("comm_"):
                self.comms.append(message)
            cell = self.cells.get(message["parent_header"].get("msg_id", ""))
            if cell is not None:
                cell.messages.append(message)
                if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    cell.is_idle = True

    def threads(self) -> list[str]:
        """Return the names of this library's threads, without the emulator's."""
        self.ok("import gc, threading; _ = gc.collect()")
        names = self.value("sorted(t.name for t in threading.enumerate())")
        return [name for name in names if name.startswith("azure-rt") and "emulator" not in name]

    def restart(self) -> None:
        """Restart it as the button does."""
        self.client.stop_channels()
        self.manager.restart_kernel(now=False)
        self._connect()


@contextmanager
def kernel() -> Iterator[Kernel]:
    """Run a kernel of this Python, and end it for certain."""
    from jupyter_client.manager import KernelManager  # not where these tests are left out

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    try:
        started = Kernel(manager)
        yield started
        started.client.stop_channels()
    finally:
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def new_id() -> str:
    """Return an id for a cell."""
    return uuid.uuid4().hex
