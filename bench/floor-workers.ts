// The least that a worker could do with a request and still have it in Kafka's hands before it answers 202. Neither
// authenticates, limits, validates, keys nor frames; no intake can cost less CPU than these on the same machine.
import type { Floor } from "./lanes.ts";

/** Source of each floor, with a binding SINK_URL for where the body goes. */
export const FLOOR_SOURCES: Record<Floor, string> = {
  forward: worker(`
    const answer = await fetch(env.SINK_URL, { method: "POST", body: request.body });
    await answer.arrayBuffer();
    return Response.json({ status: "queued" }, { status: answer.ok ? 202 : 503 });`),
  "parse-and-forward": worker(`
    const bytes = await request.arrayBuffer();
    const body = JSON.parse(new TextDecoder().decode(bytes));
    const answer = await fetch(env.SINK_URL, { method: "POST", body: bytes });
    await answer.json();
    const accepted = (body.entries ?? body.metrics).length;
    return Response.json({ status: "queued", accepted }, { status: answer.ok ? 202 : 503 });`),
};

function worker(body: string): string {
  return `export default { async fetch(request, env) {${body}\n} };`;
}
