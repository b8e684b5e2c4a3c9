// The one place that speaks for the whole page: the server is away. Politely live, and silent while all is well.
import { el } from "./element.ts";

export function showBanner(place: HTMLElement, state: "hidden" | "unreachable", origin: string): void {
  if (state === "hidden") return place.replaceChildren();
  place.replaceChildren(
    el(
      "p",
      { class: "banner", "data-testid": "banner" },
      el("strong", {}, `${origin} does not answer.`),
      " The figures below are the last ones known. This page tries again by itself; on your own machine, see whether ",
      el("code", {}, "npm start"),
      " still runs.",
    ),
  );
}
