// A command to paste, with a button that copies it. What is shown may hide the key that the copy holds.
import { el, setText } from "./element.ts";

export function copyable(shown: string, copied: string, label: string): HTMLElement {
  const code = el("code", {}, shown);
  const button = el("button", { type: "button", class: "quiet copy", "aria-label": label }, "Copy");
  const said = el("span", { class: "visually-hidden", role: "status" });
  const answer = (text: string): void => {
    setText(button, text);
    setText(said, text);
    setTimeout(() => setText(button, "Copy"), 2_000);
  };
  button.addEventListener("click", () => {
    // Not there on plain http beyond loopback: the reader copies by hand, and then needs the whole line.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    const byHand = (): void => {
      setText(code, copied);
      getSelection()?.selectAllChildren(code);
      answer("Press Ctrl+C");
    };
    if (!clipboard) return byHand();
    clipboard.writeText(copied).then(() => answer("Copied"), byHand);
  });
  return el(
    "div",
    { class: "copyable" },
    el("pre", { tabindex: "0", "aria-label": "Command" }, code),
    button,
    said,
  );
}
