// The page behind the key: panels, one poller for all of them, the controls at the top. It polls only while somebody
// can see it, and hands back to the caller when the server refuses the key.
import { displayKey } from "./data/access-key.ts";
import type { Api } from "./data/api-client.ts";
import { agentLine, curlLine } from "./data/example-log.ts";
import { Poller, type PollerState } from "./data/poller.ts";
import { createDeadLetters } from "./panels/dead-letters.ts";
import { createDisks } from "./panels/disks.ts";
import { createLedger } from "./panels/ledger.ts";
import { createLogs } from "./panels/logs.ts";
import { createNetwork } from "./panels/network.ts";
import { createPipeline } from "./panels/pipeline.ts";
import { createSend } from "./panels/send.ts";
import { createUsageChart } from "./panels/usage-chart.ts";
import { showBanner } from "./view/banner.ts";
import { copyable } from "./view/copyable.ts";
import { el, setText } from "./view/element.ts";
import { jobOf } from "./view/panel.ts";

const stateWords: Record<PollerState, string> = {
  live: "Live",
  paused: "Paused",
  unreachable: "Reconnecting",
  unauthorized: "Key refused",
};

const pageTimers = {
  now: () => performance.now(),
  after: (ms: number, action: () => void) => {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

export interface PagePlaces {
  content: HTMLElement;
  controls: HTMLElement;
  banner: HTMLElement;
}

/** Draws the page and starts asking; the answer ends it. */
export function openPage(context: {
  api: Api;
  key: string;
  origin: string;
  places: PagePlaces;
  onRefused: () => void;
  onChangeKey: () => void;
}): () => void {
  const { api, key, origin, places, onRefused, onChangeKey } = context;
  const shownKey = displayKey(key);

  const logs = createLogs({
    teach: () =>
      el(
        "div",
        {},
        el("p", {}, "No logs yet. Paste this:"),
        copyable(curlLine(origin, shownKey), curlLine(origin, key), "Copy the curl line"),
      ),
  });
  const cpu = createUsageChart({
    id: "cpu",
    title: "CPU",
    metric: "cpu_usage_percent",
    teach: () =>
      el(
        "div",
        {},
        el("p", {}, "No CPU figures in the last 15 minutes. Start the agent on any machine:"),
        copyable(agentLine(origin, shownKey), agentLine(origin, key), "Copy the agent's command"),
      ),
  });
  const memory = createUsageChart({
    id: "memory",
    title: "Memory",
    metric: "memory_usage_percent",
    teach: () => el("p", {}, "No memory figures in the last 15 minutes. The metrics agent sends them."),
  });
  const pipeline = createPipeline();
  const [ledger, deadLetters] = [createLedger(), createDeadLetters()];
  const [disks, network] = [createDisks(), createNetwork()];
  const logJob = jobOf(logs, api);
  const jobs = [...[pipeline, cpu, memory].map((panel) => jobOf(panel, api)), logJob];
  jobs.push(...[disks, network, ledger, deadLetters].map((panel) => jobOf(panel, api)));

  const state = el("span", { class: "state", "data-testid": "state" });
  const pause = el("button", { type: "button", class: "quiet" });
  const change = el("button", { type: "button", class: "quiet" }, "Change key");

  const poller = new Poller(jobs, pageTimers, (next) => {
    state.dataset["state"] = next;
    setText(state, stateWords[next]);
    showBanner(places.banner, next === "unreachable" ? "unreachable" : "hidden", origin);
    places.content.classList.toggle("stale", next === "unreachable");
    if (next === "unauthorized") onRefused();
  });

  let pausedByHand = false;
  const follow = (): void => {
    setText(pause, pausedByHand ? "Resume" : "Pause");
    if (pausedByHand || document.hidden) poller.pause();
    else poller.start();
  };
  pause.addEventListener("click", () => {
    pausedByHand = !pausedByHand;
    follow();
  });
  change.addEventListener("click", onChangeKey);
  document.addEventListener("visibilitychange", follow);

  const send = createSend({ api, origin, key, onSent: () => poller.hurry(logJob) });
  places.controls.replaceChildren(state, pause, change);
  places.content.replaceChildren(
    el("h1", { class: "visually-hidden" }, "Weir"),
    el(
      "div",
      { class: "grid" },
      pipeline.element,
      ledger.element,
      el("div", { class: "column" }, cpu.element, memory.element, logs.element),
      el("div", { class: "rail" }, disks.element, network.element, deadLetters.element, send),
    ),
  );
  follow();

  return () => {
    document.removeEventListener("visibilitychange", follow);
    poller.pause();
  };
}
