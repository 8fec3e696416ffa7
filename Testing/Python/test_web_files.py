"""The browser app's server without a browser: what can be read, sent and entered."""

import asyncio
import io
import os
import zipfile
from types import SimpleNamespace

import pytest

pytest.importorskip("aiohttp")
from aiohttp.test_utils import TestClient, TestServer

from CardiacLib.errors import InputError
from cineheart.web.folders import below, listing, require_inside
from cineheart.web.gateway import SESSIONS, is_loopback, make_gateway
from cineheart.web.sessions import ServerOptions
from cineheart.web.uploads import UploadLimits, receive, upload_name


@pytest.fixture
def served(tmp_path):
    """A folder that is served, beside a secret that is not."""
    root = tmp_path / "root"
    (root / "study").mkdir(parents=True)
    (root / "result").mkdir()
    (root / "result" / "scene.mrb").write_bytes(b"x")
    (root / "a.nii").write_bytes(b"image")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "root-beside").mkdir()
    (root / "link").symlink_to(tmp_path / "secret.txt")
    (root / "study" / "out").symlink_to(tmp_path)
    return root


@pytest.mark.parametrize(
    "path", ["..", "../secret.txt", "../root-beside", "study/../../secret.txt", "..\\secret.txt", "/etc/passwd", "link",
             "study/out/secret.txt", "C:/x", "a\0b", "none"],
)  # fmt: skip
def test_nothing_outside_is_reached(served, path):
    with pytest.raises(InputError):
        below(served, path)


def test_a_listing_leaves_links_out(served):
    assert [(entry.name, entry.kind) for entry in listing(served, "")] == [
        ("result", "result"), ("study", "folder"), ("a.nii", "file"),
    ]  # fmt: skip
    assert listing(served, "study") == []
    with pytest.raises(InputError, match="link"):
        require_inside(served, served / "study")
    require_inside(served, served / "result")


NO_LIMITS = UploadLimits()


def _send(folder, name, content, limits=NO_LIMITS):
    async def chunks():
        for start in range(0, len(content), 10):
            yield content[start : start + 10]

    return asyncio.run(receive(chunks(), name, folder, limits))


def test_uploads_stay_in_their_folder_and_are_private(tmp_path):
    path = _send(tmp_path / "up", "../../a b.nii.gz", b"0123456789abc")
    assert path == tmp_path / "up" / "a_b.nii.gz" and path.read_bytes() == b"0123456789abc"
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
    assert upload_name("1.2.840.5") == "1.2.840.5" and upload_name("IM0001") == "IM0001"
    for name in ("scene.mrb", "page.html", "..", ""):
        with pytest.raises(InputError):
            upload_name(name)


def test_uploads_have_limits(tmp_path):
    with pytest.raises(InputError, match="larger"):
        _send(tmp_path / "up", "a.nii", b"x" * 50, UploadLimits(file_bytes=40))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nii", b"0" * 100_000)
    with pytest.raises(InputError, match="unpacks"):
        _send(tmp_path / "up", "a.zip", packed.getvalue(), UploadLimits(file_bytes=10_000))
    assert os.listdir(tmp_path / "up") == []
    _send(tmp_path / "up", "a.nii", b"x" * 30, UploadLimits(session_bytes=40))
    with pytest.raises(InputError, match="larger"):
        _send(tmp_path / "up", "b.nii", b"x" * 30, UploadLimits(session_bytes=40))


def test_a_token_is_needed_where_others_reach_the_server(served):
    assert is_loopback("127.0.0.1") and is_loopback("::1") and not is_loopback("0.0.0.0")
    with pytest.raises(InputError, match="token"):
        make_gateway(served, ServerOptions(host="0.0.0.0"), "")


def _asked(app, *requests):
    async def ask():
        async with TestClient(TestServer(app)) as client:
            app[SESSIONS].running.update(app["made"])
            answers = []
            for method, path, headers in requests:
                async with client.request(method, path, headers=headers, data=b"abc" if method == "POST" else None,
                                          allow_redirects=False) as answer:  # fmt: skip
                    answers.append((answer.status, await answer.text()))
            app[SESSIONS].running.clear()
            return answers

    return asyncio.run(ask())


@pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning")
def test_sessions_read_only_their_own_output(served, tmp_path):
    made = {}
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "output").mkdir(parents=True)
        (folder / "output" / "table.csv").write_text(name)
        (folder / "output" / "link").symlink_to(tmp_path / "secret.txt")
        made[name] = SimpleNamespace(folder=folder, key="key", port=1)
    app = make_gateway(served, ServerOptions(), "")
    app["made"] = made
    answers = _asked(
        app,
        ("GET", "/s/one/download/table.csv", {}),
        ("GET", "/s/two/download/table.csv", {}),
        ("GET", "/s/three/download/table.csv", {}),
        ("GET", "/s/one/download/..%2f..%2fsecret.txt", {}),
        ("GET", "/s/one/download/link", {}),
        ("GET", "/s/one/download/%2fetc%2fpasswd", {}),
        ("POST", "/s/one/upload?name=..%2fa.nii", {}),
        ("POST", "/s/one/upload?name=a.html", {}),
        ("GET", "/s/one/download/table.csv", {"Origin": "http://elsewhere.example"}),
        ("GET", "/s/one/download/table.csv", {"Host": "elsewhere.example"}),
    )
    assert [status for status, _ in answers] == [200, 200, 404, 400, 400, 400, 200, 400, 403, 403]
    assert [text for _, text in answers[:2]] == ["one", "two"]
    assert (tmp_path / "one" / "uploads" / "a.nii").read_bytes() == b"abc"
    assert not any("secret" in text.replace("secret.txt", "") for _, text in answers)


@pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning")
def test_only_holders_of_the_token_enter(served):
    app = make_gateway(served, ServerOptions(), "a-long-enough-token")
    app["made"] = {}
    answers = _asked(
        app, ("GET", "/s/x/index.html", {}), ("GET", "/?token=wrong", {}), ("GET", "/?token=a-long-enough-token", {}),
        ("GET", "/s/x/index.html", {"Cookie": "cineheart=a-long-enough-token"}),
    )  # fmt: skip
    assert [status for status, _ in answers] == [401, 401, 302, 404]
