// Tells when whoever started this process is gone. npm runs a script through a shell: a SIGTERM to npm ends that shell
// and no more, a `kill -9` of npm not even that. So under npm both are watched; otherwise nobody is, because a process
// started by hand may outlive its shell (nohup).
import { commandOf, identify, isAlive, parentOf } from "./process-identity.ts";

/** Elsewhere than on Linux each look starts a `ps`. */
const intervalMs = process.platform === "linux" ? 300 : 1_000;

/** Calls back once, at most. */
export function watchParents(onGone: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const parent = process.ppid;
  // npm calls `sh -c …`; where that shell replaces itself by us, our parent is npm, and its parent is not our business.
  const grandparent = commandOf(parent)[1] === "-c" ? parentOf(parent) : undefined;
  // npm may be gone before we looked; its orphan's new parent is then process 1. (In a container npm may be that.)
  const orphaned = grandparent === 1 && !/npm|yarn|bun/.test(commandOf(1).join(" "));
  const npm = grandparent === undefined ? undefined : identify(grandparent);
  const timer = setInterval(() => {
    if (!orphaned && process.ppid === parent && (npm === undefined || isAlive(npm))) return;
    clearInterval(timer);
    onGone();
  }, intervalMs);
  timer.unref();
}
