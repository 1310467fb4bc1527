// Each page on a narrow screen, enlarged to 200 %, in forced colours, and for people who want nothing to move.
//
// WCAG 1.4.4 asks for text at 200 %, 1.4.10 for a width of 320 CSS px. A browser's zoom halves the viewport in CSS px
// and doubles the device's pixels, so that is what happens here; the text is doubled on top by the root's font size, as
// a person's own setting does, which is harder than either. `setPageScaleFactor` would be a magnifying glass and prove
// nothing: it does not lay the page out again.

import assert from "node:assert/strict";

/** What sticks out of the viewport, is cut off, or is too small for a finger (WCAG 2.5.8: 24 by 24 CSS px). */
function misfits() {
  const width = document.documentElement.clientWidth;
  const faults = [];
  const name = (element) => element.outerHTML.slice(0, 120);
  const isForHearingOnly = (element) => {
    for (let at = element; at; at = at.parentElement) if (getComputedStyle(at).clipPath !== "none") return true;
    return false;
  };
  const sticksOut = ({ left, right }) => left < -0.5 || right > width + 0.5;
  if (document.scrollingElement.scrollWidth > width) {
    faults.push(`scrolls sideways: ${document.scrollingElement.scrollWidth} > ${width}`);
  }
  for (const element of document.body.querySelectorAll("*")) {
    if (isForHearingOnly(element) || !element.getClientRects().length) continue;
    if (sticksOut(element.getBoundingClientRect())) faults.push(`sticks out: ${name(element)}`);
    const { overflowX, overflowY } = getComputedStyle(element);
    const isText = !element.matches("input, select, select *, svg, svg *");
    const clips = isText && (overflowX !== "visible" || overflowY !== "visible");
    if (clips && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1)) {
      faults.push(`cut off: ${name(element)}`);
    }
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { parentElement, textContent } = texts.currentNode;
    if (!textContent.trim() || isForHearingOnly(parentElement)) continue;
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    const box = parentElement.closest("button, .button")?.getBoundingClientRect();
    for (const rect of range.getClientRects()) {
      const leavesBox = box && (rect.left < box.left - 1 || rect.right > box.right + 1 || rect.bottom > box.bottom + 1);
      if (sticksOut(rect) || leavesBox) faults.push(`text leaves its place: ${textContent.trim()}`);
    }
  }
  for (const control of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")) {
    if (isForHearingOnly(control)) continue;
    // A label is part of its box's target. A link within a sentence is as high as the sentence is.
    const [own, ...labels] = [control, ...(control.type === "checkbox" ? control.labels : [])]
      .map((element) => element.getBoundingClientRect());
    const sides = labels.reduce((sum, { left, right, top, bottom }) => ({
      left: Math.min(sum.left, left), right: Math.max(sum.right, right),
      top: Math.min(sum.top, top), bottom: Math.max(sum.bottom, bottom),
    }), own);
    const isInSentence = getComputedStyle(control).display === "inline"
      && control.parentElement.innerText.trim() !== control.innerText.trim();
    const [wide, high] = [sides.right - sides.left, sides.bottom - sides.top];
    if (!isInSentence && (wide < 24 || high < 24)) faults.push(`small (${wide} x ${high}): ${name(control)}`);
  }
  return faults;
}

/** Controls whose edge can't be seen, and things that move. */
function edgeless() {
  const canvas = getComputedStyle(document.body).backgroundColor;
  const controls = [...document.querySelectorAll("button, .button, input:not([type=hidden]), select")];
  const isForHearingOnly = (element) => getComputedStyle(element).clipPath !== "none";
  return controls.filter((control) => {
    const style = getComputedStyle(control);
    const sides = ["Top", "Right", "Bottom", "Left"];
    const hasBorder = sides.every((side) => parseFloat(style[`border${side}Width`]) >= 1
      && !["none", "hidden"].includes(style[`border${side}Style`]) && style[`border${side}Color`] !== canvas);
    const isDrawnByBrowser = control.type === "checkbox" && style.appearance !== "none";
    return !isForHearingOnly(control) && !hasBorder && !isDrawnByBrowser && !style.textDecoration.includes("underline");
  }).map(({ outerHTML }) => outerHTML);
}

/** Stops of the Tab key, with the outline that each has there. */
export async function stops(page) {
  await page.evaluate(() => {
    // The Tab key goes on from where the focus was last, also after it left; so it has to be at the top.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    scrollTo(0, 0);
  });
  const found = [];
  for (let turn = 0; turn < 200; turn += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return undefined;
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
      const { backgroundColor } = getComputedStyle(document.body);
      const { top, bottom } = element.getBoundingClientRect();
      const isInView = bottom > 0 && top < innerHeight;
      const key = element.id || element.outerHTML.slice(0, 80);
      return { key, outlineStyle, outlineWidth: parseFloat(outlineWidth), outlineColor, backgroundColor, isInView };
    });
    if (!stop || stop.key === found[0]?.key) break;
    found.push(stop);
  }
  return found;
}

const luminance = (color) => {
  const [red, green, blue] = color.match(/[\d.]+/g).map(Number).map((channel) => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

/** Asserts that the focus can be seen at each stop: 2 px at least, 3:1 against the page (WCAG 1.4.11, 2.4.7). */
export function assertFocusIsSeen(found) {
  for (const { key, outlineStyle, outlineWidth, outlineColor, backgroundColor, isInView } of found) {
    assert.ok(outlineStyle !== "none" && outlineWidth >= 2, `${key}: outline ${outlineStyle} ${outlineWidth} px`);
    const [light, dark] = [outlineColor, backgroundColor].map(luminance).sort((a, b) => b - a);
    assert.ok((light + 0.05) / (dark + 0.05) >= 3, `${key}: ${outlineColor} on ${backgroundColor}`);
    assert.ok(isInView, `${key} has the focus and is out of view`);
  }
}

const NONE = { colorScheme: null, forcedColors: null, reducedMotion: null };

/** The checks of the state called `name`; `reached` gives the tab that shows it. */
export async function viewport(check, name, reached) {
  await check(`${name}: at 320 px nothing is cut off, and everything can be hit with a finger`, async () => {
    const page = reached();
    await page.emulateMedia(NONE);
    await page.setViewportSize({ width: 320, height: 640 });
    assert.deepEqual(await page.evaluate(misfits), []);
  });

  await check(`${name}: at 200 % nothing is cut off, with the text alone doubled on top of it too`, async () => {
    const page = reached();
    const devtools = await page.context().newCDPSession(page);
    const zoomed = { width: 640, height: 512, deviceScaleFactor: 2, mobile: false };
    await devtools.send("Emulation.setDeviceMetricsOverride", zoomed);
    assert.equal(await page.evaluate(() => innerWidth), 640);
    assert.deepEqual(await page.evaluate(misfits), []);
    await page.evaluate(() => { document.documentElement.style.fontSize = "200%"; });
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).fontSize), "32px");
    assert.deepEqual(await page.evaluate(misfits), []);
    await page.evaluate(() => { document.documentElement.style.fontSize = ""; });
    await devtools.send("Emulation.clearDeviceMetricsOverride");
    await devtools.detach();
  });

  await check(`${name}: the focus is seen at each stop of the Tab key, in light, dark and forced colours`, async () => {
    const page = reached();
    await page.setViewportSize({ width: 1280, height: 800 });
    const keys = [];
    for (const media of [{ colorScheme: "light" }, { colorScheme: "dark" }, { forcedColors: "active" }]) {
      await page.emulateMedia({ ...NONE, ...media });
      const found = await stops(page);
      assertFocusIsSeen(found);
      keys.push(found.map(({ key }) => key));
    }
    assert.deepEqual(keys[1], keys[0]);
    assert.deepEqual(keys[2], keys[0]);
    const reachable = "a[href], button:not([aria-hidden=true]), input:not([type=hidden]):not(:disabled), select, summary";
    assert.equal(keys[0].length, await page.locator(reachable).count(), keys[0].join(" "));
  });

  await check(`${name}: in forced colours buttons and fields have an edge`, async () => {
    const page = reached();
    await page.emulateMedia({ ...NONE, forcedColors: "active" });
    assert.ok(await page.evaluate(() => matchMedia("(forced-colors: active)").matches));
    assert.deepEqual(await page.evaluate(edgeless), []);
    await page.emulateMedia(NONE);
  });

  await check(`${name}: nothing moves for those who asked for that`, async () => {
    const page = reached();
    await page.emulateMedia({ ...NONE, reducedMotion: "reduce" });
    const moving = await page.evaluate(() => [...document.querySelectorAll("*")].filter((element) => {
      const { animationName, transitionDuration } = getComputedStyle(element);
      return animationName !== "none" || transitionDuration.split(",").some((time) => parseFloat(time) > 0);
    }).map(({ outerHTML }) => outerHTML.slice(0, 120)));
    assert.deepEqual(moving, []);
  });
}
