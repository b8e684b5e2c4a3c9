// A sign for a state beside the word for it, so that nobody needs to tell colours apart. Says nothing by itself.
import { el, setText } from "./element.ts";

const signs = { good: "✓", info: "→", wait: "…", unknown: "?", warn: "!", bad: "✕" };

export type MarkTone = keyof typeof signs;

export function createMark(tone: MarkTone): { element: HTMLElement; set: (tone: MarkTone) => void } {
  const element = el("span", { class: "mark-sign", "aria-hidden": "true" });
  const set = (next: MarkTone): void => {
    setText(element, signs[next]);
    element.dataset["tone"] = next;
  };
  set(tone);
  return { element, set };
}
