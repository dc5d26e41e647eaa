/** The web demo in a real browser: `make web-test` (needs Debian's chromium). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import {
  answersOf,
  ask,
  AXE,
  formButton,
  openBrowser,
  pick,
  SCREENSHOTS,
  signInBeside,
  signInFirst,
  startBoth,
  startButton,
  startDemo,
} from "./demo.mjs";

const LAST_WEEK = "How many claims were filed last week?";
const MAXIMUM = "What is the maximum deductible for auto insurance?";
const FRANCE = "What is the capital of France?";
const MIKE = "mike-broker-a";
const EMMA = "emma-broker-b";
let demo, browser, page, findings;

before(async () => {
  demo = await startDemo();
});
after(() => demo?.stop());

async function open(options) {
  browser = await openBrowser(options);
  page = browser.page;
  findings = [];
}

afterEach(async () => {
  await browser?.close();
  browser = undefined;
});

const answer = (person, round = 0) => page.locator(".round").nth(round).locator(`.answer[data-person="${person}"]`);

/** Unfold the tool call of one answer, and open one of its tabs. */
async function inside(person, round, tab) {
  const call = answer(person, round).getByRole("button", { name: /^Tool call/ });
  if ((await call.getAttribute("aria-expanded")) !== "true") await call.click();
  await answer(person, round).getByRole("tab", { name: tab }).click();
  return answer(person, round).getByRole("tabpanel");
}

// The first screen.

test("the first screen shows both people and what each may see, and one click signs both in and asks", async () => {
  await open();
  await page.goto(demo.address);
  for (const [person, tenant, tier] of [[MIKE, "broker-a", "regular"], [EMMA, "broker-b", "platinum"]]) {
    const may = await page.getByRole("list", { name: `What ${person} may see` }).innerText();
    assert.match(may, new RegExp(`tenant ${tenant}, and of no other[\\s\\S]*tier ${tier}[\\s\\S]*read claims, read policies`));
  }
  await page.getByText(`“${LAST_WEEK}”`).waitFor();
  const [button, window] = [await startButton(page).boundingBox(), page.viewportSize()];
  assert.ok(button.y + button.height < window.height, "the button that starts is in view");

  await startButton(page).click();
  const answers = await answersOf(page, page.locator(".round").first());
  assert.match(answers[MIKE], /^2 claims/);
  assert.match(answers[EMMA], /^1 claim /);
  assert.equal(page.context().pages().length, 1);
  await page.getByText("Answers by: offline rule-based model (no language model)").waitFor();
  assert.deepEqual(browser.complaints, []);
});

test("the first screen fits a telephone, with the button that starts in view", async () => {
  await open({ width: 390, height: 844 });
  await page.goto(demo.address);
  const button = await startButton(page).boundingBox();
  assert.ok(button.y + button.height < 844);
});

test("one person signs in by the form, and sees who they are for the server", async () => {
  await open();
  await signInFirst(page, demo.address, MIKE);
  const may = await page.getByRole("list", { name: `What ${MIKE} may see` }).innerText();
  assert.match(may, /tenant broker-a[\s\S]*tier regular[\s\S]*read claims, read policies/);
  assert.match((await ask(page, MAXIMUM))[MIKE], /\$2,400/);
  await signInBeside(page, EMMA);
  const maxima = await ask(page, MAXIMUM);
  assert.match(maxima[MIKE], /\$2,400/);
  assert.match(maxima[EMMA], /\$750/);
  assert.deepEqual(browser.complaints, []);
});

// Answers.

test("the answer comes first, and the tool call is folded below it with everything inside on demand", async () => {
  await open();
  await startBoth(page, demo.address);
  assert.equal(await answer(MIKE).getByRole("tab").count(), 0);

  assert.match(await (await inside(MIKE, 0, "Arguments")).innerText(), /last_week/);
  assert.match(await (await inside(MIKE, 0, "Result")).innerText(), /10,550\.50/);
  const sent = await inside(MIKE, 0, "SQL or filter");
  await sent.getByText(/SELECT set_config\('tenancy\.context'/).waitFor();
  assert.match(await sent.innerText(), /\$3 = the signed context of this request, for tenant broker-a/);
  const record = await inside(EMMA, 0, "Audit record");
  await record.getByText('"tenant": "broker-b"').waitFor();
  assert.match(await record.innerText(), /Decision\s+answered[\s\S]*"hash": "[0-9a-f]{64}"/);
  assert.deepEqual(browser.complaints, []);
});

test("both send the same SQL, and its digest is the one in each audit record", async () => {
  await open();
  await startBoth(page, demo.address);
  const digests = [];
  for (const person of [MIKE, EMMA]) {
    const digest = await (await inside(person, 0, "SQL or filter")).locator(".digest").innerText();
    await (await inside(person, 0, "Audit record")).getByText(`"digest": "${digest}"`).waitFor();
    digests.push(digest);
  }
  assert.equal(digests[0], digests[1]);
});

test("a chart of a count shows counts, both charts have one scale, and what differs is marked", async () => {
  await open();
  await startBoth(page, demo.address);
  await page.getByRole("application", { name: /^Number for mike-broker-a, question 1: All 2; the scale ends at 2/ }).waitFor();
  await page.getByRole("application", { name: /^Number for emma-broker-b, question 1: All 1; the scale ends at 2/ }).waitFor();
  assert.deepEqual(await answer(MIKE).locator("mark").allInnerTexts(), ["2 claims were"]);
  assert.deepEqual(await answer(EMMA).locator("mark").allInnerTexts(), ["1 claim was"]);

  await page.getByRole("button", { name: "Total amount" }).click();
  await page.getByRole("application", { name: /^Total amount for mike-broker-a.*All 10,550\.50; the scale ends at 15,300/ }).waitFor();
  await page.getByRole("application", { name: /^Total amount for emma-broker-b.*All 15,300\.00; the scale ends at 15,300/ }).waitFor();

  await ask(page, "How many claims are there by status?");
  // A group that only the other person has is there, and empty.
  await page.getByRole("application", { name: /mike-broker-a, question 2: approved 1, closed 0, open 1, pending 1;/ }).waitFor();
  await page.getByRole("application", { name: /emma-broker-b, question 2: approved 0, closed 1, open 1, pending 0;/ }).waitFor();
});

test("charts and tables serve any declared table", async () => {
  await open();
  await signInFirst(page, demo.address, MIKE);
  const figures = (count, total, smallest) => ({ count, total_price: total, smallest_price: smallest });
  const groups = [{ key: "2026-W47", ...figures(7, "12.50", "0.25") }, { key: null, ...figures(3, "1.00", null) }];
  await answerWith("summarize_orders", {
    groups,
    more_groups: false,
    total: figures(10, "13.50", "0.25"),
    as_of: "2026-11-26",
    placed_at_from: "2026-11-01",
    placed_at_to: null,
  });
  await ask(page, "How many orders per week?");
  await page.getByRole("application", { name: /^Number for .*: \(no value\) 3, 2026-W47 7; the scale ends at 7/ }).waitFor();
  await page.getByRole("button", { name: "Smallest price" }).waitFor();
  const result = await (await inside(MIKE, 0, "Result")).innerText();
  assert.match(result, /Group\s+Number\s+Total price\s+Smallest price[\s\S]*12\.50[\s\S]*Placed at 2026-11-01 to today/);

  await answerWith("find_parcels", { parcels: [{ barcode: "P-1", weight_g: 1200, fragile: true, lost: null }], next_cursor: "x" });
  await ask(page, "Where are my parcels?");
  const table = await page.getByRole("table", { name: `Parcels for ${MIKE}, question 2` }).innerText();
  assert.match(table, /Barcode\s+Weight g\s+Fragile\s+Lost\s+P-1\s+1,200\s+yes\s+none/);
  await page.getByText("There are more rows than are shown.").waitFor();
});

/** Let the agent answer with this result of a tool. */
async function answerWith(name, result) {
  const events = [
    { type: "start", model: "a model" },
    { type: "tool_call", id: "1", name, arguments: {} },
    { type: "tool_result", id: "1", is_error: false, result },
    { type: "text", text: "Here it is." },
    { type: "done" },
  ];
  const body = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
  await page.unroute("**/invocations");
  await page.route("**/invocations", (route) => route.fulfill({ contentType: "text/event-stream", body }));
}

test("a passage is rendered, its source opens, and its filter is shown", async () => {
  await open();
  await startBoth(page, demo.address);
  await ask(page, MAXIMUM);
  const passage = answer(MIKE, 1).locator(".passage");
  await passage.getByRole("heading", { name: "Deductible", exact: true }).waitFor();
  assert.doesNotMatch(await passage.innerText(), /^#/m);
  await (await inside(EMMA, 1, "SQL or filter")).getByText('"value": "platinum"').waitFor();

  await passage.getByRole("button", { name: "Source: auto-policy-regular.md" }).click();
  const document = page.getByRole("dialog");
  await document.getByRole("heading", { name: "Roadside assistance and towing" }).waitFor();
  await page.keyboard.press("Escape");
  await document.waitFor({ state: "detached" });
  assert.deepEqual(browser.complaints, []);
});

test("a question that the documents do not answer gets no citation", async () => {
  await open();
  await startBoth(page, demo.address);
  const answers = await ask(page, FRANCE);
  assert.equal(answers[MIKE], "The documents do not say.");
  assert.equal(await answer(MIKE, 1).locator(".passage").count(), 0);
});

test("each answer keeps its person, tenant and tier in view while it is read", async () => {
  for (const [width, height] of [[1280, 500], [390, 600]]) {
    await open({ width, height });
    await startBoth(page, demo.address);
    await inside(EMMA, 0, "Audit record");
    await answer(EMMA).getByText('"hash"').scrollIntoViewIfNeeded();
    await page.mouse.wheel(0, 150);
    await page.waitForTimeout(200);
    assert.ok((await answer(EMMA).boundingBox()).y < -100, "the answer begins above the window");
    const head = answer(EMMA).locator(".answer-head");
    assert.equal(Math.round((await head.boundingBox()).y), 0);
    assert.match(await head.innerText(), /emma-broker-b\s+tenant broker-b\s+tier platinum/);
    await browser.close();
  }
});

test("at 390 pixels a wide table says that it scrolls, and a long question wraps", async () => {
  await open({ width: 390, height: 844 });
  await startBoth(page, demo.address);
  await ask(page, `Show me all claims ${"a".repeat(300)}`);
  await answer(MIKE, 1).getByText("More columns: scroll the table sideways").waitFor();
  const table = answer(MIKE, 1).getByRole("table");
  assert.ok(await table.evaluate((one) => one.scrollWidth > one.parentElement.clientWidth));
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
});

test("answers can be stopped, and the next question is answered", async () => {
  await open();
  await startBoth(page, demo.address);
  await page.route("**/invocations", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await route.continue().catch(() => {});
  });
  await page.getByRole("textbox", { name: /^Ask/ }).fill(LAST_WEEK);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Stop the answers" }).click();
  assert.equal(await page.locator(".round").nth(1).getByText("You stopped this answer.").count(), 2);
  assert.equal(await page.getByRole("button", { name: "Stop the answers" }).count(), 0);
  await page.unroute("**/invocations");
  assert.match((await ask(page, MAXIMUM))[MIKE], /\$2,400/);
});

test("a refusal is said once, in words", async () => {
  await open();
  await signInFirst(page, demo.address, "nora-no-tier");
  await page.getByText("No documents: the account has no tier").waitFor();
  assert.match((await ask(page, MAXIMUM))["nora-no-tier"], /Refused: your account is in no tier/);
  const result = await inside("nora-no-tier", 0, "Result");
  assert.equal(await result.innerText(), "The server's reason is the answer above.");
  assert.equal(await page.locator("main").getByText("your account is in no tier").filter({ visible: true }).count(), 1);
  const record = await inside("nora-no-tier", 0, "Audit record");
  await record.getByText('"outcome": "RefusedError"').waitFor();
});

test("a person without a tenant reads that they see nothing, and a question gets the reason and the remedy", async () => {
  await open();
  await signInFirst(page, demo.address, "omar-unmapped");
  await page.getByText("No rows and no documents: the account belongs to no tenant").waitFor();
  const answers = await ask(page, "Show me all claims");
  assert.match(answers["omar-unmapped"], /^Refused: Your account belongs to no tenant; ask your administrator/);
});

// What goes wrong.

test("a cancelled sign-in is reported, and can be tried again", async () => {
  await open();
  await page.goto(demo.address);
  await formButton(page).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("The sign-in was cancelled, so nobody was signed in.").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await pick(page, MIKE);
  await page.getByRole("heading", { name: MIKE }).first().waitFor();

  const popup = page.waitForEvent("popup");
  await page.getByRole("button", { name: "Sign in a second person" }).click();
  await (await popup).getByRole("radio").first().waitFor();
  await (await popup).close();
  await page.getByText("The sign-in window was closed before anybody signed in.").waitFor();
  const again = page.waitForEvent("popup");
  await page.getByRole("button", { name: "Try again" }).click();
  await pick(await again, EMMA);
  await page.getByRole("heading", { name: EMMA }).first().waitFor();

  await page.getByRole("button", { name: `Sign out ${EMMA}` }).click();
  await page.getByRole("button", { name: "Sign in a second person" }).waitFor();
  await page.getByRole("button", { name: `Sign out ${MIKE}` }).click();
  await startButton(page).waitFor();
  assert.equal(page.url(), demo.address);
});

test("a server that does not answer is reported, and the page recovers with one click", async () => {
  await open();
  await page.route("**/config.json", (route) => route.abort());
  await page.goto(demo.address);
  await page.getByText("The web demo's server does not answer.").waitFor();
  await page.unroute("**/config.json");
  await page.getByRole("button", { name: "Try again" }).click();

  await page.route("**/.well-known/openid-configuration", (route) => route.abort());
  await startButton(page).click();
  await page.getByText(/The identity provider at http:\S+ does not answer\./).waitFor();
  await page.unroute("**/.well-known/openid-configuration");
  await page.getByRole("button", { name: "Try again" }).click();
  await answersOf(page, page.locator(".round").first());
  await page.context().setOffline(true);
  const unreached = await ask(page, MAXIMUM);
  assert.match(unreached[MIKE], /The agent cannot be reached\. Check that the web demo's server still runs/);
  await page.context().setOffline(false);
  await answer(MIKE, 1).getByRole("button", { name: "Ask again" }).click();
  assert.match((await answersOf(page, page.locator(".round").nth(2)))[MIKE], /\$2,400/);

  // Nobody is kept signed in by a provider that is down.
  await page.route(/\/(revoke|logout|\.well-known)\b/, (route) => route.abort());
  await page.getByRole("button", { name: `Sign out ${MIKE}` }).click();
  await page.getByText(`${MIKE} is signed out here. The identity provider did not answer`).waitFor();
  await page.getByRole("button", { name: `Sign out ${EMMA}` }).click();
  await formButton(page).click();
  await page.getByText(/The identity provider at http:\S+ does not answer\./).waitFor();
});

test("no token is in any storage, cookie or address", async () => {
  await open();
  await startBoth(page, demo.address);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.equal(kept, '[{},{},""]');
  assert.equal(page.url(), demo.address);
  await page.reload();
  await startButton(page).waitFor();
});

// For everybody.

test("the keyboard alone is enough, from the first screen into the audit record", async () => {
  await open();
  await page.goto(demo.address);
  await startButton(page).waitFor();
  await tabTo(startButton(page));
  await page.keyboard.press("Enter");
  await answersOf(page, page.locator(".round").first());
  assert.ok(await page.getByRole("textbox", { name: /^Ask/ }).evaluate((one) => one === document.activeElement));
  await page.keyboard.type(MAXIMUM);
  await page.keyboard.press("Enter");
  await answersOf(page, page.locator(".round").nth(1));
  await tabTo(answer(EMMA, 1).getByRole("button", { name: /^Tool call/ }), "Shift+Tab");
  await page.keyboard.press("Enter");
  await tabTo(answer(EMMA, 1).getByRole("tab", { name: "Arguments" }));
  for (const _ of ["Result", "SQL or filter", "Audit record"]) await page.keyboard.press("ArrowRight");
  await answer(EMMA, 1).getByText('"tier": "platinum"').waitFor();
});

/** Press Tab until `target` has the focus. */
async function tabTo(target, key = "Tab") {
  for (let presses = 0; presses < 40; presses++) {
    if (await target.evaluate((one) => one === document.activeElement)) return;
    await page.keyboard.press(key);
  }
  assert.fail("the keyboard does not reach it");
}

test("nothing moves for a person who asked for reduced motion", async () => {
  await open();
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.goto(demo.address);
  await page.evaluate(() => {
    globalThis.moved = [];
    document.addEventListener("animationstart", (event) => globalThis.moved.push(event.animationName));
    document.addEventListener("transitionstart", (event) => globalThis.moved.push(event.propertyName));
  });
  await startButton(page).click();
  await answersOf(page, page.locator(".round").first());
  await inside(MIKE, 0, "Audit record");
  await ask(page, MAXIMUM);
  await page.waitForTimeout(300);
  assert.deepEqual(await page.evaluate(() => globalThis.moved), []);
});

for (const colours of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    test(`the page is accessible and fits in ${colours} at ${width} pixels`, async () => {
      await open({ width, height: width === 390 ? 844 : 900 });
      await page.emulateMedia({ colorScheme: colours });
      await page.goto(demo.address);
      await look(`1-welcome-${colours}-${width}`);
      await startBoth(page, demo.address);
      await look(`2-started-${colours}-${width}`);
      await ask(page, "How many claims are there by status?");
      await look(`3-by-status-${colours}-${width}`);
      await ask(page, MAXIMUM);
      await look(`4-maximum-${colours}-${width}`);
      await ask(page, "Show me all claims");
      await look(`5-claims-${colours}-${width}`);
      await inside(MIKE, 0, "Result");
      await (await inside(EMMA, 0, "SQL or filter")).locator(".digest").waitFor();
      await look(`6-sql-${colours}-${width}`);
      await (await inside(MIKE, 2, "Audit record")).getByText('"hash"').waitFor();
      await inside(EMMA, 2, "Result");
      await look(`7-audit-${colours}-${width}`);
      await answer(MIKE, 2).getByRole("button", { name: /^Source/ }).first().click();
      await page.getByRole("dialog").getByRole("heading", { name: "Deductible", exact: true }).waitFor();
      await look(`8-document-${colours}-${width}`);
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
