"""`websockets.broadcast` and nothing else: what a Python server can do.

python -m tests.bench.raw_server PORT LINES_PORT      each line that comes to the other port is sent to every socket
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main(port: int, lines: int) -> None:
    pages: set[ServerConnection] = set()

    async def page(socket: ServerConnection) -> None:
        pages.add(socket)
        try:
            await socket.wait_closed()
        finally:
            pages.discard(socket)

    async def publisher(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            broadcast(pages, line.decode().rstrip("\n"))
        writer.close()

    # As under uvicorn: no compression, which the clients do not ask for either.
    async with (
        serve(page, "127.0.0.1", port, compression=None),
        await asyncio.start_server(publisher, "127.0.0.1", lines),
    ):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
