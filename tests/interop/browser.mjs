// Chromium on the page of our echo server, as a person uses it, and its own WebSocket beyond that: browser.mjs PORT
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const origin = `http://127.0.0.1:${process.argv[2]}`;
const socket = origin.replace("http", "ws") + "/";

function ok(name) {
  console.log(`ok  ${name}`);
}

// An empty profile, and nothing that would look for the internet.
const profile = await mkdtemp(join(tmpdir(), "interop-chromium-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run"],
});
try {
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // Browsers ask for an icon by themselves; there is none.
    if (message.type() === "error" && !message.location().url.endsWith("/favicon.ico")) complaints.push(message.text());
  });

  await page.goto(`${origin}/`);
  await page.waitForFunction(() => document.querySelector("#status")?.textContent.trim() === "open");
  ok("the page connects");
  for (const text of ["hello from Chromium", "Größe: 😀"]) {
    await page.fill("#message", text);
    await page.click("#send");
    const line = page.locator("#log > *", { hasText: text }).last();
    await line.waitFor();
    // It was typed into a field, so only an echo puts it into the log together with a round-trip time.
    assert.match(await line.innerText(), /\d+([.,]\d+)?\s*ms/);
    ok(`typed, sent and echoed with its round trip: ${text}`);
  }
  await page.fill("#message", "by the Enter key");
  await page.press("#message", "Enter");
  await page.locator("#log > *", { hasText: "by the Enter key" }).waitFor();
  ok("the Enter key sends too");
  assert.deepEqual(complaints, []);
  ok("nothing to complain in the console");

  const own = await page.evaluate(async (url) => {
    const ws = new WebSocket(url, ["superchat"]);
    ws.binaryType = "arraybuffer";
    await new Promise((resolve, reject) => { ws.onopen = resolve; ws.onerror = reject; });
    const bytes = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * i) >> 3);
    const echo = await new Promise((resolve) => { ws.onmessage = (event) => resolve(new Uint8Array(event.data)); ws.send(bytes); });
    const closed = new Promise((resolve) => { ws.onclose = resolve; });
    ws.close(4003, "that was all");
    const { code, wasClean } = await closed;
    return { protocol: ws.protocol, equal: echo.length === bytes.length && echo.every((b, i) => b === bytes[i]), code, wasClean };
  }, socket);
  assert.deepEqual(own, { protocol: "superchat", equal: true, code: 4003, wasClean: true });
  ok("1 MiB of binary, subprotocol, clean close with its code");

  // A page from elsewhere must not get at the server: the origin of a blank page is "null".
  const elsewhere = await context.newPage();
  const outcome = await elsewhere.evaluate((url) => new Promise((resolve) => {
    const ws = new WebSocket(url);
    ws.onopen = () => resolve("open");
    ws.onclose = (event) => resolve(event.code);
  }), socket);
  assert.equal(outcome, 1006);
  ok("a page of a foreign origin is refused");
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
