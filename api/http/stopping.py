"""The last answers of a server that is about to stop."""

from litestar.types import ASGIApp, Message, Receive, Scope, Send


def last_answers(app: ASGIApp) -> ASGIApp:
    """Return an application whose answers end their connections.

    A caller so learns from an answer to go elsewhere, and not from a connection that is closed
    while its next request is on the way.
    """

    async def closing(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await app(scope, receive, send_last)

    return closing
