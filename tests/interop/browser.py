#!/usr/bin/env python3
"""Chromium on the page of our echo server, as a person uses it, and its own WebSocket beyond that.

browser.py PORT [EXTENSIONS [tls]]
EXTENSIONS is what the server should answer to the offer of Chromium, nothing by default. With `tls` it is a server of TLS,
whatever its certificate.
"""

import os
import re
import sys
import tempfile

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

extensions = sys.argv[2] if len(sys.argv) > 2 else ""
tls = sys.argv[3:] == ["tls"]
origin = f"http{'s' * tls}://127.0.0.1:{sys.argv[1]}"
socket = f"ws{'s' * tls}://127.0.0.1:{sys.argv[1]}/"

# Runs in the page, beyond what the page does by itself.
OWN_SOCKET = """
const [url, done] = arguments;
(async () => {
  const ws = new WebSocket(url, ["superchat"]);
  ws.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => { ws.onopen = resolve; ws.onerror = reject; });
  const bytes = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * i) >> 3);
  const noise = crypto.getRandomValues(new Uint8Array(2000));
  const text = noise.join(" ");
  let equal = true;
  const messages = [bytes, text, "", noise, new Uint8Array(0), ...Array(50).fill([text, noise]).flat(), bytes];
  for (const message of messages) {
    const echo = await new Promise((resolve) => {
      ws.onmessage = (event) => resolve(event.data);
      ws.send(message);
    });
    equal &&= typeof message === "string" ? echo === message : String(new Uint8Array(echo)) === String(message);
  }
  const closed = new Promise((resolve) => { ws.onclose = resolve; });
  ws.close(4003, "that was all");
  const { code, wasClean } = await closed;
  return { protocol: ws.protocol, extensions: ws.extensions, equal, code, wasClean };
})().then(done, (error) => done(String(error)));
"""
FOREIGN_SOCKET = """
const [url, done] = arguments;
const ws = new WebSocket(url);
ws.onopen = () => done("open");
ws.onclose = (event) => done(event.code);
"""


def check(name, condition, seen=None):
    if not condition:
        sys.exit(f"FAILED  {name}: {seen!r}")
    print(f"ok  {name}")


def main(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    # An empty profile, and nothing that would look for the internet.
    for flag in ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--no-first-run", f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.accept_insecure_certs = tls
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
    with webdriver.Chrome(options, service) as browser:
        browser.set_script_timeout(30)
        use_the_page(browser)
        use_a_socket(browser)


def use_the_page(browser):
    wait = WebDriverWait(browser, 20, poll_frequency=0.05)

    def element(selector):
        return browser.find_element(By.CSS_SELECTOR, selector)

    def line_with(text):
        lines = [line.text for line in browser.find_elements(By.CSS_SELECTOR, "#log > *")]
        return next((line for line in lines if text in line), None)

    browser.get(f"{origin}/")
    wait.until(lambda _: element("#status").text == "open", "#status should read: open")
    check("the page connects", True)
    for how, text in [("button", "hello from Chromium"), ("button", "Größe: ½ €"), ("Enter key", "by the keyboard")]:
        element("#message").send_keys(text)
        if how == "button":
            element("#send").click()
        else:
            element("#message").send_keys(Keys.ENTER)
        # What was typed stands in a field, so the log has it from the echo, with the round-trip time.
        line = wait.until(lambda _: line_with(text), f"{text!r} should come back")
        check(f"sent by the {how}, echoed with its round trip: {text}", re.search(r"\d+([.,]\d+)?\s*ms", line), line)
    # Browsers ask for an icon by themselves; there is none.
    complaints = [entry for entry in browser.get_log("browser") if "/favicon.ico" not in entry["message"]]
    check("nothing to complain in the console", not complaints, complaints)


def use_a_socket(browser):
    seen = browser.execute_async_script(OWN_SOCKET, socket)
    expected = {"protocol": "superchat", "extensions": extensions, "equal": True, "code": 4003, "wasClean": True}
    name = f"messages up to 1 MiB, subprotocol, extensions {extensions!r}, clean close with its code"
    check(name, seen == expected, seen)
    if tls:
        return  # a blank page does not accept our certificate
    # A page from elsewhere must not get at the server: the origin of a blank page is "null".
    browser.get("about:blank")
    seen = browser.execute_async_script(FOREIGN_SOCKET, socket)
    check("a page of a foreign origin is refused", seen == 1006, seen)


with tempfile.TemporaryDirectory(prefix="interop-chromium-", ignore_cleanup_errors=True) as directory:
    main(directory)
