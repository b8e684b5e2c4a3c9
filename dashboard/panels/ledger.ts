// Whether all that was accepted is accounted for, in one line: a key sees its own tenant's records, `operator` those of
// all. It claims no more than the server does: while records are on their way it says that.
import { type Api, kafkaTimeoutMs } from "../data/api-client.ts";
import { formatWhole } from "../data/format.ts";
import { type Ledger, parseLedger } from "../data/ledger.ts";
import { el, setText } from "../view/element.ts";
import { createMark, type MarkTone } from "../view/mark.ts";
import { createFrame, type Panel } from "../view/panel.ts";

const verdicts: Record<Ledger["verdict"], { tone: MarkTone; word: string; note: string }> = {
  balanced: { tone: "good", word: "Balanced", note: "Every accepted record is accounted for." },
  unsettled: { tone: "wait", word: "Unsettled", note: "Records are still on their way." },
  unbalanced: { tone: "bad", word: "Unbalanced", note: "The command weir ledger tells more." },
  unknown: { tone: "unknown", word: "Not known", note: "Messages expired before they were read." },
  empty: { tone: "wait", word: "Empty", note: "Says whether all you send arrives." },
};

const names: Record<Ledger["parts"][number]["term"], string> = {
  foreign: "written by others",
  stored: "stored",
  late: "late",
  dead: "dead letters",
  deduplicated: "deduplicated",
  expired: "expired",
  spilled: "kept for Kafka",
  waiting: "waiting",
};

function term(name: string, records: number | undefined, link?: string): HTMLElement {
  const label = link === undefined ? name : el("a", { href: link }, name);
  return el("li", {}, label, " ", el("b", {}, formatWhole(records)));
}

export function createLedger(): Panel {
  const frame = createFrame({ id: "ledger", title: "Ledger", class: "ledger" });
  const mark = createMark("wait");
  const word = el("strong", { "data-testid": "ledger-verdict" });
  const sum = el("ul", { class: "sum", "data-testid": "ledger-sum" });
  const note = el("span", { class: "minor" });
  const faults = el("ul", { class: "faults", hidden: true });
  frame.aside.append(el("p", { class: "verdict" }, mark.element, word));
  frame.body.append(sum, note, faults);
  let drawn = "";

  function draw(ledger: Ledger): void {
    const { tone, word: said, note: more } = verdicts[ledger.verdict];
    mark.set(tone);
    setText(word, said);
    setText(note, more);
    frame.element.dataset["verdict"] = ledger.verdict;
    // Only anew when it differs: a refresh must not take the focus from the link in it.
    if (JSON.stringify(ledger) === drawn) return;
    drawn = JSON.stringify(ledger);
    sum.replaceChildren(
      term("accepted", ledger.accepted),
      ...ledger.parts.map((part) =>
        term(names[part.term], part.records, part.term === "dead" ? "#dead-letters" : undefined),
      ),
      term("difference", ledger.difference),
    );
    faults.replaceChildren(...ledger.faults.map((fault) => el("li", {}, fault)));
    faults.hidden = ledger.faults.length === 0;
  }

  return {
    element: frame.element,
    // To count what waits the server may read some of the log: no more often than this.
    everyMs: 10_000,
    refresh: async (api: Api) =>
      frame.settle(await api.get("/api/v1/ledger", parseLedger, { timeoutMs: kafkaTimeoutMs }), draw),
  };
}
