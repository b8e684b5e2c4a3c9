// Draws notices, the same node for as long as a trouble lasts: its title alone is announced, once; the figures in the
// text change with every refresh, and would never let a screen reader finish.
import type { Notice } from "../data/notices.ts";
import { el, setText } from "./element.ts";
import { createMark } from "./mark.ts";

interface Drawn {
  element: HTMLElement;
  set: (notice: Notice) => void;
}

function createNotice(tone: Notice["tone"]): Drawn {
  const title = el("strong");
  const text = el("span");
  const details = el("ul", { class: "minor" });
  const element = el(
    "li",
    { class: "state-notice", "data-tone": tone },
    createMark(tone).element,
    el("div", {}, el("p", {}, title, " ", text), details),
  );
  return {
    element,
    set(notice) {
      element.dataset["notice"] = notice.id.split(" ")[0];
      setText(title, notice.title);
      setText(text, notice.text);
      if (details.textContent !== notice.details.join(""))
        details.replaceChildren(...notice.details.map((detail) => el("li", {}, detail)));
      details.hidden = notice.details.length === 0;
    },
  };
}

export function createNotices(): { element: HTMLElement; set: (notices: readonly Notice[]) => void } {
  const rows = el("ul");
  const said = el("p", { class: "visually-hidden", role: "status" });
  const element = el("div", { class: "notices", "data-testid": "notices", "data-empty": true }, rows, said);
  let shown = new Map<string, Drawn>();
  return {
    element,
    set(notices) {
      const next = new Map(notices.map((one) => [one.id, shown.get(one.id) ?? createNotice(one.tone)]));
      for (const [id, { element: old }] of shown) if (!next.has(id)) old.remove();
      let place = rows.firstChild;
      for (const notice of notices) {
        const drawn = next.get(notice.id);
        if (!drawn) continue;
        drawn.set(notice);
        if (drawn.element === place) place = place.nextSibling;
        else rows.insertBefore(drawn.element, place);
      }
      shown = next;
      setText(said, notices.map(({ title }) => title).join(" "));
      element.toggleAttribute("data-empty", notices.length === 0);
    },
  };
}
