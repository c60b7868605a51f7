// A board on a large screen: what does not fit is scrolled through, slowly, from the top to the end and again.

import { make } from "./shown.js";

const REST = 6_000; // at the top and at the end
const ROWS = 0.6; // a second
const HANDS_OFF = 15_000; // after somebody has scrolled

/** Scroll, until the page is another one or somebody stops it. */
export function roll(signal) {
  const isStill = matchMedia("(prefers-reduced-motion: reduce)");
  const button = make("button", { id: "pause", type: "button", "aria-pressed": "false" }, "Pause");
  document.body.append(button);
  let then = performance.now(), wait = REST, at = 0, isPaused = false;

  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.setAttribute("aria-pressed", isPaused);
    then = performance.now();
  });
  for (const kind of ["wheel", "touchmove", "keydown"]) {
    addEventListener(kind, () => { wait = HANDS_OFF; }, { passive: true, signal });
  }

  function step(now) {
    if (signal.aborted) return;
    const passed = Math.min(now - then, 100);
    then = now;
    const end = document.documentElement.scrollHeight - innerHeight;
    if (isPaused || end <= 1) wait = REST;
    else if (wait > 0) {
      wait -= passed;
      at = scrollY;
    } else {
      const row = document.querySelector("tbody tr")?.offsetHeight ?? 0;
      const page = innerHeight - (document.querySelector("header")?.offsetHeight ?? 0) - row;
      if (scrollY >= end - 1) [at, wait] = [0, REST];
      else if (isStill.matches) [at, wait] = [at + page, REST];
      else at += (row * ROWS * passed) / 1000;
      if (at >= end) wait = REST;
      scrollTo({ top: at, behavior: "instant" });
    }
    requestAnimationFrame(step);
  }
  requestAnimationFrame(step);
}
