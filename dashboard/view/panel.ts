// What a panel is: an element, an interval, and a refresh that asks and draws. The frame gives all of them the same
// states: loading, figures, nothing yet (with what to do), a failed refresh (figures stay), and not allowed.
import type { Answer, Api, Problem } from "../data/api-client.ts";
import type { Job, Outcome } from "../data/poller.ts";
import { el, setText } from "./element.ts";

export interface Panel {
  readonly element: HTMLElement;
  readonly everyMs: number;
  refresh(api: Api): Promise<Outcome>;
}

export const jobOf = (panel: Panel, api: Api): Job => ({
  everyMs: panel.everyMs,
  run: () => panel.refresh(api),
});

export interface Frame {
  readonly element: HTMLElement;
  /** Right side of the heading line. */
  readonly aside: HTMLElement;
  readonly body: HTMLElement;
  /** Draws `value`, or shows the problem; answers what the poller wants to know. */
  settle<T>(answer: Answer<T>, draw: (value: T) => void): Outcome;
  /** In place of the body: what to do so that something appears. Undefined shows the body. */
  empty(teach: (() => Node) | undefined): void;
}

/** What a reader can do about it, in one line. */
function explain({ kind, status, code, detail }: Problem): string {
  const answer = [status || "", code, detail].filter(Boolean).join(" · ");
  if (kind === "slow") return `This takes the server longer than usual; trying again. (${answer})`;
  if (kind === "busy") return `Over the quota; asking more slowly. (${answer})`;
  return `The server could not answer this; trying again. (${answer})`;
}

const deniedNote: Partial<Record<Problem["kind"], string>> = {
  forbidden: "needs a key with the scope",
  missing: "is not offered by this server.",
};

export function createFrame(options: { id: string; title: string; scope?: string; class?: string }): Frame {
  const { id, title, scope = "query" } = options;
  const heading = el("h2", { id: `${id}-title` }, title);
  const aside = el("div", { class: "aside" });
  const body = el("div", { class: "body" });
  const teaching = el("div", { class: "teaching", hidden: true });
  const trouble = el("p", { class: "trouble", hidden: true });
  const denied = el("p", { class: "denied", hidden: true });
  const head = el("div", { class: "head" }, heading, aside);
  const element = el(
    "section",
    {
      class: `panel ${options.class ?? ""}`.trim(),
      "data-testid": id,
      "data-state": "loading",
      "aria-labelledby": `${id}-title`,
    },
    head,
    trouble,
    body,
    teaching,
    denied,
  );

  let drawn = false;
  const show = (state: "loading" | "ready" | "empty" | "failed" | "denied"): void => {
    element.dataset["state"] = state;
    trouble.hidden = state !== "failed";
    denied.hidden = state !== "denied";
    head.hidden = state === "denied";
    body.hidden = state === "denied" || !teaching.hidden || !drawn;
    if (state === "denied") teaching.hidden = true;
  };

  return {
    element,
    aside,
    body,
    settle(answer, draw) {
      if (answer.ok) {
        drawn = true;
        draw(answer.value);
        show(teaching.hidden ? "ready" : "empty");
        return { ok: true };
      }
      const { problem } = answer;
      const note = deniedNote[problem.kind];
      if (note !== undefined) {
        denied.replaceChildren(
          el("strong", {}, title),
          ` ${note}`,
          ...(problem.kind === "forbidden" ? [" ", el("code", {}, scope), "."] : []),
        );
        show("denied");
      } else if (problem.kind === "busy" || problem.kind === "slow" || problem.kind === "failed") {
        setText(trouble, explain(problem));
        show("failed");
      }
      // The server being away and a refused key concern the whole page: the banner and the form say it.
      return { ok: false, problem };
    },
    empty(teach) {
      // Made once: a refresh must not take the focus from a button in it.
      if (teach && teaching.hidden) teaching.replaceChildren(teach());
      teaching.hidden = teach === undefined;
      body.hidden = teach !== undefined;
    },
  };
}
