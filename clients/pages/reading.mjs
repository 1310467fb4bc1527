// Each page as it is read, by eye and by screen reader: axe-core's rules in light, in dark and on a narrow screen, and
// what a page says about itself.
//
// Easy to get wrong: axe leaves some rules out unless they are named, WCAG 2.2's size of targets among them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { demo } from "../harness/checks.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const APPEARANCES = {
  light: { colorScheme: "light", width: 1280 },
  dark: { colorScheme: "dark", width: 1280 },
  "320 px": { colorScheme: "light", width: 320 },
  "320 px, dark": { colorScheme: "dark", width: 320 },
};

/** What axe finds, each as a line that names rule and element; rules of level AAA are not promised. */
async function findings(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  return page.evaluate(async () => {
    // What stays in sight at the lower edge covers the text there until the page is scrolled.
    scrollTo(0, document.documentElement.scrollHeight);
    const isPromised = ({ tags }) => !tags.includes("wcag2aaa") && !tags.includes("deprecated");
    const values = axe.getRules().filter(isPromised).map(({ ruleId }) => ruleId);
    const { violations, incomplete } = await axe.run(document, { runOnly: { type: "rule", values } });
    // What axe can't decide itself is mostly for people to judge; a contrast that it can't see is a fault of the page.
    const undecided = incomplete.filter(({ id }) => id === "color-contrast" || id === "target-size");
    const lines = ({ id, help, nodes }) => nodes.map(({ html, failureSummary }) =>
      `${id} (${help}): ${html}\n    ${failureSummary.replaceAll("\n", "\n    ")}`);
    return [...violations, ...undecided].flatMap(lines);
  });
}

/** The checks of the state called `name`; `reached` gives the tab that shows it. */
export async function reading(check, name, reached) {
  await check(`${name}: axe finds nothing in light, in dark and at 320 px`, async () => {
    const page = reached();
    const found = [];
    for (const [appearance, { colorScheme, width }] of Object.entries(APPEARANCES)) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      found.push(...(await findings(page)).map((finding) => `${appearance}: ${finding}`));
    }
    assert.equal(found.length, 0, found.join("\n"));
  });

  await check(`${name}: language, title and one heading say what it is`, async () => {
    const page = reached();
    const { lang, title, headings } = await page.evaluate(() => ({
      lang: document.documentElement.lang,
      title: document.title,
      headings: [...document.querySelectorAll("h1")].map((heading) => heading.innerText),
    }));
    assert.equal(lang, "en");
    assert.equal(headings.length, 1);
    assert.ok(title.includes(headings[0]), `${title} / ${headings[0]}`);
    if (new URL(page.url()).origin === demo.issuer) assert.match(title, / – Doorward$/);
  });

  await check(`${name}: every field has a visible label, and ids are unique`, async () => {
    const faults = await reached().evaluate(() => {
      const fields = [...document.querySelectorAll("input:not([type=hidden])")];
      const isSeen = ({ offsetWidth, offsetHeight }) => offsetWidth > 1 && offsetHeight > 1;
      const unlabelled = fields.filter(({ labels }) => ![...labels].some((label) => isSeen(label) && label.innerText));
      const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
      const described = [...document.querySelectorAll("[aria-describedby], [aria-labelledby]")]
        .flatMap((element) => [element.getAttribute("aria-describedby"), element.getAttribute("aria-labelledby")])
        .flatMap((names) => names?.split(" ") ?? []);
      return {
        unlabelled: unlabelled.map(({ outerHTML }) => outerHTML),
        doubled: ids.filter((id, at) => ids.indexOf(id) !== at),
        missing: described.filter((id) => !ids.includes(id)),
      };
    });
    assert.deepEqual(faults, { unlabelled: [], doubled: [], missing: [] });
  });
}
