/** The web demo in a real browser: `make web-test` (needs Debian's chromium). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { ask, AXE, openBrowser, pick, SCREENSHOTS, signInBeside, signInFirst, startDemo } from "./demo.mjs";

const LAST_WEEK = "How many claims were filed last week?";
const MAXIMUM = "What is the maximum deductible for auto insurance?";
let demo, browser, page, findings;

before(async () => {
  demo = await startDemo();
});
after(() => demo?.stop());

async function open() {
  browser = await openBrowser();
  page = browser.page;
  findings = [];
}

afterEach(async () => {
  await browser?.close();
  browser = undefined;
});

test("a person signs in, sees who they are, and gets answers with the tool calls behind them", async () => {
  await open();
  await signInFirst(page, demo.address, "mike-broker-a");
  const whoami = page.getByLabel("Who mike-broker-a is");
  await whoami.waitFor();
  assert.match(await whoami.innerText(), /broker-a[\s\S]*regular[\s\S]*claims:read, policies:read/);
  await page.getByText("Answers by: offline rule-based model (no language model)").waitFor();

  assert.match((await ask(page, LAST_WEEK))["mike-broker-a"], /2 claims were filed last week/);
  const summary = page.getByRole("table", { name: "Claims summary for mike-broker-a" });
  assert.match(await summary.innerText(), /\$10,550\.50/);
  assert.match(await page.getByRole("table", { name: "Arguments of summarize_claims" }).innerText(), /last_week/);
  await page.getByRole("application", { name: /Amount for mike-broker-a, question 1: Total \$10,550\.50/ }).waitFor();

  assert.match((await ask(page, MAXIMUM))["mike-broker-a"], /\$2,400/);
  assert.deepEqual(browser.complaints, []);
});

test("two people side by side get different answers to the same question", async () => {
  await open();
  await signInFirst(page, demo.address, "mike-broker-a");
  await signInBeside(page, "emma-broker-b");

  const counts = await ask(page, LAST_WEEK);
  assert.match(counts["mike-broker-a"], /^2 claims/);
  assert.match(counts["emma-broker-b"], /^1 claim /);
  const maxima = await ask(page, MAXIMUM);
  assert.match(maxima["mike-broker-a"], /\$2,400/);
  assert.match(maxima["emma-broker-b"], /\$750/);

  const claims = await ask(page, "Show me all claims");
  assert.match(claims["mike-broker-a"], /CLM-A-001/);
  assert.doesNotMatch(claims["mike-broker-a"], /CLM-B/);
  assert.match(claims["emma-broker-b"], /CLM-B-001/);
  assert.doesNotMatch(claims["emma-broker-b"], /CLM-A/);
  assert.deepEqual(browser.complaints, []);
});

test("no token is in any storage, cookie or address", async () => {
  await open();
  await signInFirst(page, demo.address, "mike-broker-a");
  await signInBeside(page, "emma-broker-b");
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.equal(kept, '[{},{},""]');
  assert.equal(page.url(), demo.address);
  await page.reload();
  await page.getByRole("main").getByRole("button", { name: "Sign in", exact: true }).waitFor();
});

test("a person without a tenant is told why, and what to do", async () => {
  await open();
  await signInFirst(page, demo.address, "omar-unmapped");
  await page.getByText(/Your account belongs to no tenant; ask your administrator/).waitFor();
});

test("a cancelled sign-in is said, and can be tried again", async () => {
  await open();
  await page.goto(demo.address);
  await page.getByRole("main").getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText(/Signing in did not work/).waitFor();
  await page.getByRole("main").getByRole("button", { name: "Sign in", exact: true }).click();
  await pick(page, "mike-broker-a");
  await page.getByRole("heading", { name: "mike-broker-a" }).waitFor();
  await page.getByRole("button", { name: "Sign out mike-broker-a" }).click();
  await page.getByRole("main").getByRole("button", { name: "Sign in", exact: true }).waitFor();
  assert.equal(page.url(), demo.address);
});

test("the keyboard alone is enough", async () => {
  await open();
  await signInFirst(page, demo.address, "mike-broker-a");
  await page.getByLabel("Who mike-broker-a is").waitFor();
  for (let presses = 0; presses < 30; presses++) {
    await page.keyboard.press("Tab");
    if (await page.getByRole("menuitem", { name: LAST_WEEK }).evaluate((one) => one === document.activeElement)) break;
  }
  await page.keyboard.press("Enter");
  await page.locator('.answer[data-finished="true"]').getByText(/2 claims were filed/).first().waitFor();
});

for (const colours of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    test(`the page is accessible and fits in ${colours} at ${width} pixels`, async () => {
      await open();
      await page.emulateMedia({ colorScheme: colours });
      await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
      await page.goto(demo.address);
      await look(`1-welcome-${colours}-${width}`);
      await signInFirst(page, demo.address, "mike-broker-a");
      await page.getByLabel("Who mike-broker-a is").waitFor();
      await look(`2-signed-in-${colours}-${width}`);
      await signInBeside(page, "emma-broker-b");
      await page.getByLabel("Who emma-broker-b is").waitFor();
      await ask(page, LAST_WEEK);
      await look(`3-last-week-${colours}-${width}`);
      await ask(page, "How many claims are there by status?");
      await look(`4-by-status-${colours}-${width}`);
      await ask(page, MAXIMUM);
      await look(`5-maximum-${colours}-${width}`);
      await ask(page, "Show me all claims");
      await look(`6-claims-${colours}-${width}`);
      assert.deepEqual(browser.complaints, []);
      assert.deepEqual(findings, []);
    });
  }
}

/** Take a picture for people, and hold the page against its own width and axe's rules, whose findings are gathered. */
async function look(name) {
  await page.waitForTimeout(500);
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}-full.png`), fullPage: true });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (overflow > 0) findings.push(`${name}: ${overflow} pixels too wide`);
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  findings.push(...violations.map((one) => `${name}: ${one.impact} ${one.id}, ${one.nodes.length}: ${one.nodes[0].html}`));
}
