"""Who listens to which event, and telling them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import attrs

from taskhero.events.handlers import fit, kinds_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskhero.events.event import Event

__all__ = ["Emitter"]

_log: Final = logging.getLogger("taskhero.events")
_Handler = TypeVar("_Handler", bound="Callable[..., Any]")


@attrs.frozen(eq=False)
class _Listener:
    """One handler of one event: *call* takes the event, *when* tells whether it wants any now (None: always)."""

    handler: Callable[..., Any]
    call: Callable[[Event], Any]
    when: Callable[[], bool] | None


class Emitter:
    """Tells listeners what happens; what a child tells reaches its own listeners first and then its parent's.

    It belongs to one event loop: all but `on` and `off` are called from the loop's thread.

    Args:
        parent: Who is told, too.
    """

    def __init__(self, parent: Emitter | None = None) -> None:
        self._parent = parent
        # Tuples that are replaced, never changed: a handler may subscribe or leave while an event is told.
        self._listeners: dict[type[Event], tuple[_Listener, ...]] = {}
        self._running: set[asyncio.Task[None]] = set()

    @overload
    def on(self, event: str | type[Event], handler: None = None) -> Callable[[_Handler], _Handler]: ...

    @overload
    def on(
        self, event: str | type[Event], handler: _Handler, *, when: Callable[[], bool] | None = None
    ) -> _Handler: ...

    def on(
        self,
        event: str | type[Event],
        handler: _Handler | None = None,
        *,
        when: Callable[[], bool] | None = None,
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Subscribe *handler*, or decorate it if none is given.

        A handler whose parameters are all fields of the event gets those by name; one with ``**kwargs`` gets all
        fields; any other gets the event as its only argument. It may be sync or async. Sync ones hold up the loop;
        async ones run beside the work, in no order. What a handler raises is logged and disturbs nothing.

        Args:
            event: ``"failure"``, or with its source as in ``"scheduler.error"``, or the class.
            handler: What is called.
            when: Asked each time before; the handler is left out while it says False. It must be quick.

        Returns:
            The handler, or a decorator that returns it.

        Raises:
            UnknownEvent: No event is called so.
            InvalidHandler: The handler's parameters fit no event of this name.
        """
        kinds = kinds_of(event)
        if handler is None:
            return lambda handler: self.on(event, handler)
        calls = [(kind, fit(handler, kind)) for kind in kinds]
        for kind, call in calls:
            self._listeners[kind] = (*self._listeners.get(kind, ()), _Listener(handler, call, when))
        return handler

    def off(self, event: str | type[Event], handler: Callable[..., Any]) -> bool:
        """End all subscriptions of *handler* to *event*.

        Returns:
            Whether there was any.

        Raises:
            UnknownEvent: No event is called so.
        """
        found = False
        for kind in kinds_of(event):
            before = self._listeners.get(kind, ())
            after = tuple(listener for listener in before if listener.handler != handler)
            found = found or len(after) < len(before)
            if after:
                self._listeners[kind] = after
            else:
                self._listeners.pop(kind, None)
        return found

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens to this event now; it is quick, so that nobody builds events for nothing."""
        listeners = self._listeners.get(kind)
        if listeners is not None:
            for listener in listeners:
                if listener.when is None or listener.when():
                    return True
        return self._parent is not None and self._parent.wants(kind)

    def emit(self, event: Event) -> None:
        """Tell all who listen; it never raises."""
        for listener in self._listeners.get(type(event), ()):
            self._tell(listener, event)
        if self._parent is not None:
            self._parent.emit(event)

    async def drain(self) -> None:
        """Wait until the async handlers that were called have ended, here and in the parents; it never raises.

        When it is cancelled, the handlers go on. A handler that calls it does not wait for itself.
        """
        while others := self._running - {asyncio.current_task()}:
            await asyncio.wait(others)
        if self._parent is not None:
            await self._parent.drain()

    def _tell(self, listener: _Listener, event: Event) -> None:
        try:
            if listener.when is not None and not listener.when():
                return
            answer = listener.call(event)
        except BaseException as error:  # noqa: BLE001 -- not even SystemExit may end the work from here
            _complain(listener.handler, event, error)
            return
        if hasattr(answer, "__await__"):
            self._spawn(listener.handler, event, answer)

    def _spawn(self, handler: Callable[..., Any], event: Event, answer: Awaitable[Any]) -> None:
        watched = _watched(handler, event, answer)
        try:
            task = asyncio.get_running_loop().create_task(
                watched, name=f"taskhero handler of {event.source}.{event.name}"
            )
        except RuntimeError as error:  # called from another thread, or after the loop
            watched.close()
            if asyncio.iscoroutine(answer):
                answer.close()
            _complain(handler, event, error)
        else:
            self._running.add(task)
            task.add_done_callback(self._running.discard)


async def _watched(handler: Callable[..., Any], event: Event, answer: Awaitable[Any]) -> None:
    try:
        await answer
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # the loop ends
        _complain(handler, event, error)
    except BaseException as error:  # noqa: BLE001 -- SystemExit in a task would end the loop
        _complain(handler, event, error)


def _complain(handler: Callable[..., Any], event: Event, error: BaseException) -> None:
    _log.error(
        "handler %s of event %s.%s raised %s",
        getattr(handler, "__qualname__", handler),
        event.source,
        event.name,
        type(error).__name__,
        exc_info=error,
        extra={"event": event.name, "source": event.source},
    )
