"""An endpoint that answers every POST with 200 at once, in a process of its own.

It does less than any gateway would, so that the clients are measured and not the server.

    python benchmarks/post_endpoint.py ─► a JSON line with its URL
"""

import asyncio
import json

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Posts(asyncio.Protocol):
    """One kept connection; requests may come in pieces."""

    def connection_made(self, transport):
        """Called by the loop."""
        self.transport = transport
        self.received = b""

    def data_received(self, data):
        """Answers every whole request that has come."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            at = head.find(b"\r\ncontent-length:")
            length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.received) < end + 4 + length:
                return
            self.received = self.received[end + 4 + length :]
            self.transport.write(ANSWER)


async def main():
    """Serves until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Posts, "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
