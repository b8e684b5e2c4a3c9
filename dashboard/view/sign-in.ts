// Asked for when the server refuses the key, or when there is none: a form that says what a key is and where it is.
import { isPlausibleKey } from "../data/access-key.ts";
import { el, setText } from "./element.ts";

/** `check` tries the key and answers undefined when it was taken, else what to tell the reader. */
export function createSignIn(context: {
  refused: boolean;
  check: (key: string) => Promise<string | undefined>;
}): HTMLElement {
  const input = el("input", {
    id: "key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "weir_…",
    "aria-describedby": "key-message",
    required: true,
  });
  const button = el("button", { type: "submit", class: "primary" }, "Open");
  const message = el("p", { id: "key-message", class: "form-message", role: "alert" });
  const form = el(
    "form",
    { "data-testid": "sign-in" },
    el("label", { for: "key" }, "API key"),
    el("div", { class: "field" }, input, button),
    message,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!isPlausibleKey(key)) return setText(message, "A key has no spaces: weir_, an id, and a secret.");
    button.disabled = true;
    void context.check(key).then((fault) => {
      button.disabled = false;
      setText(message, fault ?? "");
      if (fault !== undefined) input.select();
      return undefined;
    });
  });
  const heading = context.refused ? "The server refused the key" : "This page needs a key";
  return el(
    "section",
    { class: "sign-in", "aria-labelledby": "sign-in-title" },
    el("h1", { id: "sign-in-title" }, heading),
    el(
      "p",
      {},
      "A key says whose data this is and what its holder may do. To read these figures it needs the scope ",
      el("code", {}, "query"),
      "; to see the pipeline, ",
      el("code", {}, "operator"),
      ".",
    ),
    form,
    el(
      "dl",
      {},
      el("dt", {}, "On your own machine"),
      el("dd", {}, el("code", {}, "npm start"), " prints the development key. It works there only."),
      el("dt", {}, "On a deployed Weir"),
      el(
        "dd",
        {},
        "Whoever runs it makes keys with ",
        el("code", {}, "npm run key:create"),
        ". A key is shown once; if it is lost, ask for a new one.",
      ),
      el("dt", {}, "Where it goes"),
      el("dd", {}, "It stays in this tab and is forgotten when you close it."),
    ),
  );
}
