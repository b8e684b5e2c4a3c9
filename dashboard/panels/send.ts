// A first record of one's own: the line for a terminal, and a button that sends the same from here.
import type { Answer, Api } from "../data/api-client.ts";
import { curlLine, exampleLog } from "../data/example-log.ts";
import { displayKey } from "../data/access-key.ts";
import { copyable } from "../view/copyable.ts";
import { el, setText } from "../view/element.ts";

interface Receipt {
  accepted: number;
  durability: string;
}

function parseReceipt(json: unknown): Receipt | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const { accepted, durability } = json as Record<string, unknown>;
  if (typeof accepted !== "number") return undefined;
  return { accepted, durability: typeof durability === "string" ? durability : "" };
}

function sentence(answer: Answer<Receipt>): string {
  if (answer.ok && answer.value.durability === "spilled")
    return "Accepted; it waits in the spillway until Kafka is back.";
  if (answer.ok) return "Accepted: it is in Kafka. It joins the latest logs in a moment.";
  const { kind, status, code, detail } = answer.problem;
  if (kind === "forbidden") return "This key may not send: it needs the scope ingest.";
  return `Not accepted: ${[status || "", code, detail].filter(Boolean).join(" · ")}`;
}

/** `onSent` is called when a record was accepted, so that the logs can be asked at once. */
export function createSend(context: {
  api: Api;
  origin: string;
  key: string;
  onSent: () => void;
}): HTMLElement {
  const { api, origin, key, onSent } = context;
  const button = el("button", { type: "button", class: "primary" }, "Send it from here");
  const receipt = el("p", { class: "receipt", role: "status", "data-testid": "send-receipt" });
  button.addEventListener("click", () => {
    button.disabled = true;
    setText(receipt, "Sending …");
    void api
      .post(
        "/api/v1/logs",
        { ...exampleLog, message: "Hello from the dashboard", host: "browser" },
        parseReceipt,
      )
      .then((answer) => {
        button.disabled = false;
        setText(receipt, sentence(answer));
        if (answer.ok) setTimeout(onSent, 700);
        return undefined;
      });
  });
  return el(
    "section",
    { class: "panel send", "data-testid": "send", "aria-labelledby": "send-title" },
    el("div", { class: "head" }, el("h2", { id: "send-title" }, "Send your own")),
    el(
      "div",
      { class: "body" },
      el("p", {}, "Any program that speaks HTTP can send. Paste this into a terminal:"),
      copyable(curlLine(origin, displayKey(key)), curlLine(origin, key), "Copy the curl line"),
      el("p", { class: "actions" }, button, receipt),
    ),
  );
}
