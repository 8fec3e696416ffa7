"""The one address that browsers see: who may enter, uploads, downloads, and the way to each session's process."""

import asyncio
import hmac
import ipaddress
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from CardiacLib.errors import InputError

from .folders import below
from .sessions import KEY_HEADER, OUTPUT, UPLOADS, ServerOptions, Session, Sessions
from .uploads import receive

COOKIE = "cineheart"
LARGEST_MESSAGE = 64 << 20
SESSIONS = web.AppKey("sessions", Sessions)
CLIENT = web.AppKey("client", aiohttp.ClientSession)
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this computer only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def make_gateway(root: Path, options: ServerOptions, token: str) -> web.Application:
    """The server of a folder; ``token`` is asked for, unless it is empty (which is for loopback addresses only).

    Raises:
        InputError: no token, and another address than a loopback one.
    """
    if not token and not is_loopback(options.host):
        raise InputError(f"{options.host}: others can reach this address; a token is needed.")
    app = web.Application(middlewares=[_guard(token, options)], client_max_size=1 << 20)
    app[SESSIONS] = Sessions(root, options)
    app.cleanup_ctx.append(_resources)
    app.router.add_get("/", _new_session)
    app.router.add_post("/s/{name}/upload", _upload)
    app.router.add_get("/s/{name}/download/{path:.+}", _download)
    app.router.add_get("/s/{name}/ws", _websocket)
    app.router.add_get("/s/{name}/{path:.*}", _page)
    return app


def new_token() -> str:
    """One that nobody can guess."""
    return secrets.token_urlsafe(24)


def _guard(token: str, options: ServerOptions):
    """Who may enter: holders of the token; of a page, only the one that this server sent; no renamed host."""

    @web.middleware
    async def guard(request: web.Request, handler):
        host = urlsplit(f"//{request.host}").hostname or ""
        if is_loopback(options.host) and not is_loopback(host):
            raise web.HTTPForbidden(text="This server answers at its own address only.")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="Another page may not use this server.")
        if token:
            given = request.query.get("token")
            if given is not None and hmac.compare_digest(given.encode(), token.encode()):
                response = web.HTTPFound("/")
                secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
                response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=secure)
                raise response
            if not hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), token.encode()):
                raise web.HTTPUnauthorized(text="Open the address with its token, as the server printed it.")
        try:
            response = await handler(request)
        except InputError as error:
            response = web.json_response({"error": str(error)}, status=400)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    return guard


async def _resources(app: web.Application):
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        app[CLIENT] = client
        yield
        await app[SESSIONS].close()


def _session(request: web.Request) -> Session:
    session = request.app[SESSIONS].running.get(request.match_info["name"])
    if session is None:
        raise web.HTTPNotFound(text="This session has ended; open the first page again.")
    return session


async def _new_session(request: web.Request) -> web.Response:
    try:
        name = await request.app[SESSIONS].start()
    except InputError as error:
        return web.Response(text=str(error), status=503)
    raise web.HTTPFound(f"/s/{name}/index.html")


async def _upload(request: web.Request) -> web.Response:
    session = _session(request)
    limits = request.app[SESSIONS].options.limits
    stream = request.content.iter_chunked(1 << 20)
    path = await receive(stream, request.query.get("name", ""), session.folder / UPLOADS, limits)
    return web.json_response({"name": path.name})


async def _download(request: web.Request) -> web.StreamResponse:
    path = below(_session(request).folder / OUTPUT, request.match_info["path"])
    if not path.is_file():
        raise web.HTTPNotFound(text="No such file; make it again.")
    return web.FileResponse(path, headers={"Content-Disposition": f'attachment; filename="{path.name}"'})


async def _page(request: web.Request) -> web.Response:
    session = _session(request)
    url = f"http://127.0.0.1:{session.port}/{request.match_info['path']}"
    async with request.app[CLIENT].get(url, headers={KEY_HEADER: session.key}) as answer:
        kept = {name: answer.headers[name] for name in ("Content-Type", "Content-Encoding") if name in answer.headers}
        return web.Response(body=await answer.read(), status=answer.status, headers=kept)


async def _websocket(request: web.Request) -> web.WebSocketResponse:
    session = _session(request)
    url = f"http://127.0.0.1:{session.port}/ws"
    client = request.app[CLIENT].ws_connect(url, headers={KEY_HEADER: session.key}, max_msg_size=LARGEST_MESSAGE)
    async with client as inner:
        outer = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, heartbeat=30, compress=False)
        await outer.prepare(request)
        ways = [asyncio.create_task(_forward(outer, inner)), asyncio.create_task(_forward(inner, outer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await outer.close()
    return outer


async def _forward(source, target) -> None:
    async for message in source:
        if message.type == aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type == aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
