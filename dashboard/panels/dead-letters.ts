// What was accepted and cannot be stored: how many, the newest few, and the command that shows one whole. Rows stay the
// same nodes while they are shown, so that an opened one stays open.
import type { Answer, Api } from "../data/api-client.ts";
import { type DeadLetter, parseDeadLetters, showLine } from "../data/dead-letters.ts";
import { formatAge, formatWhole } from "../data/format.ts";
import { copyable } from "../view/copyable.ts";
import { el, setText } from "../view/element.ts";
import { createMark } from "../view/mark.ts";
import { createFrame, type Panel } from "../view/panel.ts";

/** The endpoint has no count: so many are asked for, and beyond them it is "more than". */
const maxCounted = 50;
const maxRows = 3;

interface Row {
  element: HTMLElement;
  setAge: (nowMs: number) => void;
}

function createRow({ id, tenant, topic, reason, error, atMs }: DeadLetter): Row {
  const at = new Date(atMs).toISOString();
  const time = el("time", { datetime: at, title: at });
  const place = el("span", { class: "minor" }, el("code", {}, topic), ` · ${tenant} · `, time);
  const command = showLine(id);
  return {
    element: el(
      "details",
      { class: "dead-letter" },
      el("summary", {}, el("span", { class: "error" }, error || reason), place),
      el("p", { class: "minor" }, "What came, with the reason ", el("code", {}, reason), ":"),
      copyable(command, command, "Copy the command"),
    ),
    setAge: (nowMs) => setText(time, `${formatAge(nowMs - atMs)} ago`),
  };
}

const teach = (): Node =>
  el(
    "p",
    {},
    "None. A record that was accepted but cannot be stored, by a fault of its own, is set aside here with the reason; all others go on.",
  );

export function createDeadLetters(): Panel {
  const frame = createFrame({ id: "dead-letters", title: "Dead letters", class: "dead-letters" });
  frame.element.id = "dead-letters";
  const count = el("strong", { "data-testid": "dead-letters-count" });
  const figure = el("span", { class: "count", hidden: true }, createMark("warn").element, count);
  frame.aside.append(figure);
  const rows = el("div");
  const what = el(
    "p",
    { class: "more" },
    "Open one for the command that shows it: ",
    el("code", {}, "weir dlq show ID"),
  );
  frame.body.append(rows, what);
  let shown = new Map<string, Row>();

  function draw(letters: DeadLetter[], isMore: boolean, nowMs: number): void {
    frame.empty(letters.length === 0 ? teach : undefined);
    figure.hidden = letters.length === 0;
    setText(count, isMore ? `more than ${maxCounted}` : formatWhole(letters.length));
    const next = new Map<string, Row>();
    for (const letter of letters.slice(0, maxRows))
      next.set(letter.id, shown.get(letter.id) ?? createRow(letter));
    for (const [id, row] of shown) if (!next.has(id)) row.element.remove();
    // Only what is new or out of place moves, as with the logs.
    let place = rows.firstChild;
    for (const row of next.values()) {
      row.setAge(nowMs);
      if (row.element === place) place = place.nextSibling;
      else rows.insertBefore(row.element, place);
    }
    shown = next;
  }

  return {
    element: frame.element,
    everyMs: 10_000,
    async refresh(api: Api) {
      const answer: Answer<DeadLetter[]> = await api.get(`/api/v1/dlq?limit=${maxCounted}`, parseDeadLetters);
      const isMore = answer.ok && answer.next !== undefined;
      return frame.settle(answer, (letters) => draw(letters, isMore, api.nowMs()));
    },
  };
}
