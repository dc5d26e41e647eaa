/** The web demo as a process and a browser in front of it: started for a test file, and always stopped. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** Ignored by git; for a person to look at. */
export const SCREENSHOTS = path.join(ROOT, ".tenantgate", "screenshots");
const PYTHON = process.env.PYTHON ?? path.join(ROOT, ".venv", "bin", "python");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const QUIET = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Start `python -m client_demo.web_server` on free ports with a data folder of its own, or use the one at DEMO_URL. */
export async function startDemo() {
  if (process.env.DEMO_URL) return { address: process.env.DEMO_URL, stop: () => {} };
  const folder = await mkdtemp(path.join(tmpdir(), "tenantgate-web-"));
  const command = ["-m", "client_demo.web_server", "--port", "0", "--folder", path.join(folder, "dev")];
  const server = spawn(PYTHON, command, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  for await (const line of createInterface({ input: server.stdout })) {
    const address = /^Web demo: +(\S+)$/.exec(line)?.[1];
    if (address) {
      const stop = async () => {
        server.kill("SIGTERM");
        await ended;
        await rm(folder, { recursive: true, force: true });
      };
      return { address, stop };
    }
  }
  await rm(folder, { recursive: true, force: true });
  throw new Error(`The web demo ended with exit code ${await ended} before it was ready.`);
}

/** Open a browser with a fresh profile; `complaints` gathers every console error, page error and failed request. */
export async function openBrowser({ width = 1280, height = 900 } = {}) {
  await mkdir(SCREENSHOTS, { recursive: true });
  const profile = await mkdtemp(path.join(tmpdir(), "tenantgate-profile-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: QUIET,
    viewport: { width, height },
    locale: "en-GB",
  });
  const complaints = [];
  const listen = (page) => {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`page error: ${error.message}`));
  };
  context.pages().forEach(listen);
  context.on("page", listen);
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  };
  return { page: context.pages()[0], context, complaints, close };
}

/** Pick a person on the identity provider's page. */
export async function pick(page, person) {
  await page.getByRole("radio", { name: person }).check();
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Sign in by the identity provider's form, as one person. */
export async function signInFirst(page, address, person) {
  await page.goto(address);
  await formButton(page).click();
  await pick(page, person);
  await page.getByRole("heading", { name: person }).first().waitFor();
}

export const formButton = (page) => page.getByRole("button", { name: "Sign in as one person of your choice" });
export const startButton = (page) => page.getByRole("button", { name: "Sign in both and ask" });

/** Sign in the two sample people with the one click of the first screen; return the first question's answers. */
export async function startBoth(page, address) {
  await page.goto(address);
  await startButton(page).click();
  return answersOf(page, page.locator(".round").first());
}

export async function signInBeside(page, person) {
  const popup = page.waitForEvent("popup");
  await page.getByRole("button", { name: "Sign in a second person" }).click();
  await pick(await popup, person);
  await page.getByRole("heading", { name: person }).first().waitFor();
}

/** Ask, and return each person's answer: name to text. Where a busy machine makes the server say so, ask again. */
export async function ask(page, question) {
  let told = await askOnce(page, question);
  for (let tries = 1; tries < 3 && Object.values(told).some((text) => /\bRetry\b/.test(text)); tries++) {
    told = await askOnce(page, question);
  }
  return told;
}

/** Ask with the keyboard, and return the answers once they are complete. */
async function askOnce(page, question) {
  const rounds = page.locator(".round");
  const before = await rounds.count();
  await page.getByRole("textbox", { name: /^Ask/ }).fill(question);
  await page.keyboard.press("Enter");
  return answersOf(page, rounds.nth(before));
}

/** The text of each complete answer, by the name of its person. */
export async function answersOf(page, round) {
  await round.waitFor();
  const told = {};
  for (const answer of await round.locator(".answer").all()) {
    await answer.and(page.locator('[data-finished="true"]')).waitFor();
    told[await answer.getAttribute("data-person")] = await answer.locator(".said, .failure").last().innerText();
  }
  return told;
}
