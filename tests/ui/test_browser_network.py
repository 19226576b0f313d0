"""The network in a real browser: foreign names and ports are refused, and under the content policy a page saves and
uploads files, but loads nothing from elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.servers import BROWSER, BROWSER_ARGUMENTS, CHROMIUM
from tests.ui.conftest import complaints

pytestmark = BROWSER
ANSWER = 60_000  # ms
TRY_A_SOCKET = """(address) => new Promise((answer) => {
    const socket = new WebSocket(address, ['streamlit']);
    socket.onopen = () => answer('open');
    socket.onerror = () => answer('refused');
})"""
TRY_A_REQUEST = """async ([address, method, mode]) => {
    try { return (await fetch(address, {method, mode, body: method === 'GET' ? undefined : 'x'})).type; }
    catch (error) { return 'refused'; }
}"""


class Elsewhere(BaseHTTPRequestHandler):
    """A server of another program on this machine. It counts who asks it."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><p>elsewhere</p>")

    do_POST = do_PUT = do_GET

    def log_message(self, *words: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ThreadingHTTPServer]:
    """A page on another port of this machine; ``asked`` lists the paths that were asked for."""
    found = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    found.asked = []
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()


def test_pictures_and_tables_are_saved_and_a_store_is_uploaded_under_the_policy(server, watched, few_runs):
    page = watched(f"{server}/?pair=caprev.demo")
    page.locator(".st-key-download button").first.click()
    for name, ending in (("alone as PNG", ".png"), ("alone as SVG", ".svg"), ("(CSV)", ".csv"), ("(zip)", ".zip")):
        with page.expect_download(timeout=ANSWER) as saved:
            page.get_by_role("button", name=name).first.dispatch_event("click", timeout=ANSWER)
        assert saved.value.suggested_filename.endswith(ending) and saved.value.path().stat().st_size > 200
    page.keyboard.press("Escape")
    page.locator(".st-key-stores button").first.click(timeout=ANSWER)
    with page.expect_response(lambda answer: "upload_file" in answer.url, timeout=ANSWER) as answer:
        page.set_input_files('input[type="file"]', few_runs)
    assert answer.value.status == 204
    assert complaints(page) == []


def test_what_a_page_loads_by_mistake_from_elsewhere_is_not_asked_for(server, watched, elsewhere):
    page = watched(f"{server}/runs")
    other = f"http://127.0.0.1:{elsewhere.server_port}"
    del elsewhere.asked[:]
    assert page.evaluate(TRY_A_REQUEST, [f"{other}/fetch", "GET", "cors"]) == "refused"
    assert page.evaluate(TRY_A_REQUEST, [f"{other}/fetch", "POST", "no-cors"]) == "refused"
    assert page.evaluate(TRY_A_SOCKET, f"ws://127.0.0.1:{elsewhere.server_port}/socket") == "refused"
    page.evaluate(
        """(other) => { document.body.insertAdjacentHTML('beforeend', `<img src="${other}/image">
            <iframe src="${other}/frame"></iframe><link rel="stylesheet" href="${other}/style">
            <style>@import url("${other}/import"); body { background: url("${other}/back") }</style>
            <video src="${other}/video"></video><object data="${other}/object"></object>
            <img src=x onerror="window.ranInline = 1"><svg onload="window.ranInline = 1">`);
            const script = document.createElement('script'); script.src = `${other}/script`;
            document.body.append(script);
            const inline = document.createElement('script'); inline.textContent = 'window.ranInline = 1';
            document.body.append(inline);
            setTimeout(() => { window.ranInline = eval('1'); }, 10); }""",
        other,
    )
    page.wait_for_timeout(1000)
    assert elsewhere.asked == [] and page.evaluate("window.ranInline") is None, "nor does a script of the HTML, or eval"
    assert sum("violation of the policy" in text for text in page.said) >= 9


def test_a_page_of_another_local_port_cannot_use_the_dashboard(server, watched, elsewhere):
    page = watched(f"http://127.0.0.1:{elsewhere.server_port}/", wait=False)
    port = server.rsplit(":", 1)[1]
    for name in ("127.0.0.1", "localhost"):
        assert page.evaluate(TRY_A_SOCKET, f"ws://{name}:{port}/_stcore/stream") == "refused"
        for path, method in (
            ("/_stcore/health", "GET"), ("/_stcore/host-config", "GET"), ("/", "GET"),
            ("/_stcore/upload_file/a/b", "PUT"), ("/_stcore/upload_file/a/b", "DELETE"),
            ("/_stcore/upload_file/a/b", "POST"),
        ):  # fmt: skip
            for mode in ("cors", *(["no-cors"] if method in ("GET", "POST") else [])):
                assert page.evaluate(TRY_A_REQUEST, [f"http://{name}:{port}{path}", method, mode]) == "refused", path
    page.evaluate(
        """(server) => new Promise((loaded) => { const frame = document.createElement('iframe');
            frame.onload = loaded; frame.src = server; document.body.append(frame); })""",
        server,
    )
    (frame,) = page.frames[1:]
    assert frame.url.startswith("chrome-error:"), "a frame that the server refuses shows the browser's error page"
    assert frame.query_selector('[data-testid="stApp"]') is None


def test_a_name_that_is_made_to_lead_here_shows_nothing_and_gets_no_websocket(server, chromium):
    port = server.rsplit(":", 1)[1]
    rebound = [*BROWSER_ARGUMENTS, "--host-resolver-rules=MAP evil.example 127.0.0.1"]
    with chromium.browser_type.launch(executable_path=CHROMIUM, args=rebound) as browser:
        page = browser.new_page(bypass_csp=True)  # what the attacker's own page could do
        for path in ("/", "/launch", "/static/js/", "/_stcore/host-config", "/media/x"):
            answer = page.goto(f"http://evil.example:{port}{path}")
            assert answer.status == 403 and page.inner_text("body").startswith("Refused: ")
        assert page.evaluate(TRY_A_SOCKET, f"ws://evil.example:{port}/_stcore/stream") == "refused"
        assert page.evaluate(TRY_A_SOCKET, f"ws://127.0.0.1:{port}/_stcore/stream") == "refused"
        for method in ("GET", "POST", "PUT", "DELETE"):
            status = page.evaluate("async ([path, method]) => (await fetch(path, {method})).status",
                                   ["/_stcore/upload_file/a/b", method])  # fmt: skip
            assert status == 403, method
