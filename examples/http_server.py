"""Task processors inside a server: one event loop answers requests and works the jobs that they enqueue.

The server is a few lines of the standard library; with a framework, what stands in `serving` goes into its lifespan.
"""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

from taskhero import Settings, TaskHero

app = TaskHero(settings=Settings(queues="mail", max_task_processors=5))
sent: asyncio.Queue[str] = asyncio.Queue()


@app.task(queue="mail")
async def send_welcome_email(*, to: str) -> None:
    """Work that no visitor should wait for."""
    await asyncio.sleep(0.1)
    await sent.put(to)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer `GET /welcome?to=...` at once; the email goes out later."""
    request_line = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0]
    query = parse_qs(urlsplit(request_line.split()[1]).query)
    stored = await send_welcome_email.enqueue(to=query["to"][0])
    body = json.dumps({"accepted": stored}).encode()
    writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def visit(port: int, to: str) -> None:
    """What a browser would do."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /welcome?to={to} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    print("answered:", (await reader.read()).decode().rpartition("\r\n")[2])
    writer.close()


async def main() -> None:
    async with app.running():  # connect and work for as long as the server serves
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await asyncio.gather(visit(port, "ann@example.com"), visit(port, "bob@example.com"))
            for _ in range(2):
                print("sent to", await sent.get())


asyncio.run(main())
