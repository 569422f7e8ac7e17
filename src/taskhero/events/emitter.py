"""Hold subscriptions to events, and call the handlers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import attrs

from taskhero._internal.logs import get_logger
from taskhero.events.handlers import fit, kinds_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskhero.events.event import Event

__all__ = ["Emitter"]

_log: Final = get_logger("taskhero.events")
_Handler = TypeVar("_Handler", bound="Callable[..., Any]")


@attrs.frozen(eq=False)
class _Listener:
    """One handler of one event.

    Attributes:
        handler: The handler as it was subscribed.
        call: Calls the handler with an event.
        when: Returns whether the handler wants events now; None means always.
    """

    handler: Callable[..., Any]
    call: Callable[[Event], Any]
    when: Callable[[], bool] | None


class Emitter:
    """Delivers events to listeners.

    It belongs to one event loop. Only `on` and `off` may be called outside the loop's thread.
    """

    def __init__(self) -> None:
        # Tuples that are replaced, never changed, because a handler may subscribe or unsubscribe during an event.
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
        """Subscribe *handler* to an event, or return a decorator if no handler is given.

        If all parameters of a handler are fields of the event, it receives these by name. With ``**kwargs`` it receives
        all fields. Any other handler receives the event as its only argument. Handlers are sync or async. A sync
        handler blocks the event loop. Async handlers run concurrently, in no defined order. The emitter logs what a
        handler raises.

        Args:
            event: ``"failure"``, or with its source as in ``"scheduler.error"``, or the class.
            handler: The function to call.
            when: Called before each event. The handler is skipped while it returns False. It must be fast.

        Returns:
            The handler, or a decorator that returns it.

        Raises:
            UnknownEvent: No event has this name.
            InvalidHandler: The handler's parameters do not fit the event.
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
            Whether there was a subscription.

        Raises:
            UnknownEvent: No event has this name.
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
        """Return whether a handler wants this event now. Callers check this before they build an event."""
        listeners = self._listeners.get(kind)
        if listeners is not None:
            for listener in listeners:
                if listener.when is None or listener.when():
                    return True
        return False

    def emit(self, event: Event) -> None:
        """Call all handlers of the event. It never raises."""
        for listener in self._listeners.get(type(event), ()):
            self._call(listener, event)

    async def drain(self) -> None:
        """Wait until the running async handlers have ended. It never raises.

        If it is cancelled, the handlers continue. A handler that calls it does not wait for itself.
        """
        while others := self._running - {asyncio.current_task()}:
            await asyncio.wait(others)

    def _call(self, listener: _Listener, event: Event) -> None:
        try:
            if listener.when is not None and not listener.when():
                return
            result = listener.call(event)
        except BaseException as error:  # noqa: BLE001 -- even SystemExit of a handler must not end the worker
            _log_error(listener.handler, event, error)
            return
        if hasattr(result, "__await__"):
            self._spawn(listener.handler, event, result)

    def _spawn(self, handler: Callable[..., Any], event: Event, awaitable: Awaitable[Any]) -> None:
        run = _run(handler, event, awaitable)
        try:
            task = asyncio.get_running_loop().create_task(run, name=f"taskhero handler of {event.source}.{event.name}")
        except RuntimeError as error:  # called from another thread, or after the end of the loop
            run.close()
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            _log_error(handler, event, error)
        else:
            self._running.add(task)
            task.add_done_callback(self._running.discard)


async def _run(handler: Callable[..., Any], event: Event, awaitable: Awaitable[Any]) -> None:
    try:
        await awaitable
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # the loop ends
        _log_error(handler, event, error)
    except BaseException as error:  # noqa: BLE001 -- SystemExit in a task would end the loop
        _log_error(handler, event, error)


def _log_error(handler: Callable[..., Any], event: Event, error: BaseException) -> None:
    _log.error(
        "handler %s of event %s.%s raised %s",
        getattr(handler, "__qualname__", handler),
        event.source,
        event.name,
        type(error).__name__,
        exc_info=error,
        extra={"event": event.name, "source": event.source},
    )
