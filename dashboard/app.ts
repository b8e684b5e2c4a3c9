// Decides which key the page uses and shows the page, or the form that asks for a key.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { chooseKey, keyFromHash } from "./data/access-key.ts";
import { type Api, createApi } from "./data/api-client.ts";
import { parseLogs } from "./data/shapes.ts";
import { openPage } from "./page.ts";
import { showBanner } from "./view/banner.ts";
import { setText } from "./view/element.ts";
import { createSignIn } from "./view/sign-in.ts";

const storedKeyName = "weir.key";
const { origin, hostname } = location;

function place(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element;
}

const places = { content: place("content"), controls: place("controls"), banner: place("banner") };
const apiOf = (key: string): Api =>
  createApi({ origin, key: () => key, fetch: fetch.bind(globalThis), now: Date.now });

let leave: () => void = () => {};

/** What to tell the reader about a key that cannot be used; undefined when it can. */
async function faultOf(key: string): Promise<string | undefined> {
  const answer = await apiOf(key).get("/api/v1/logs?limit=1", parseLogs);
  if (answer.ok) return undefined;
  const { kind } = answer.problem;
  if (kind === "unauthorized") return "The server does not know this key. Was it copied whole?";
  if (kind === "forbidden") return "This key may send but not read: use one with the scope query.";
  if (kind === "unreachable") return "The server does not answer. Try again in a moment.";
  // Some other trouble is the page's to show: the key was taken.
  return undefined;
}

function askForKey(refused: boolean): void {
  leave();
  leave = () => {};
  places.controls.replaceChildren();
  places.content.classList.remove("stale");
  showBanner(places.banner, "hidden", origin);
  const form = createSignIn({
    refused,
    check: async (key) => {
      const fault = await faultOf(key);
      if (fault !== undefined) return fault;
      sessionStorage.setItem(storedKeyName, key);
      show(key);
      return undefined;
    },
  });
  places.content.replaceChildren(form);
  form.querySelector("input")?.focus();
}

function show(key: string): void {
  leave();
  leave = openPage({
    api: apiOf(key),
    key,
    origin,
    places,
    onRefused: () => askForKey(true),
    onChangeKey: () => {
      sessionStorage.removeItem(storedKeyName);
      askForKey(false);
    },
  });
}

function open(): void {
  const { hash, pathname, search } = location;
  const given = keyFromHash(hash);
  if (given !== undefined) {
    // Out of the address at once: it would stay in the history.
    history.replaceState(null, "", pathname + search);
    sessionStorage.setItem(storedKeyName, given);
  }
  const key = chooseKey({ hash, stored: sessionStorage.getItem(storedKeyName), hostname });
  if (key === undefined) askForKey(false);
  else show(key);
}

setText(place("origin"), origin.replace(/^https?:\/\//, ""));
// A link with a key, opened in the tab that already shows the page, changes nothing but the fragment.
addEventListener("hashchange", () => {
  if (keyFromHash(location.hash) !== undefined) open();
});
open();
