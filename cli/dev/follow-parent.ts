// Loaded into every child before its own code (`--import`): nothing outlives the process that started it. A child may
// be told of its parent's death while it still loads and has no listener yet, or hang on its way out; this is the last
// resort behind each child's own, orderly end.

/** Longer than any child takes to end in order. */
const graceMs = 6_000;

const endSoon = () => setTimeout(() => process.exit(1), graceMs).unref();

if (process.connected) process.once("disconnect", endSoon);
else endSoon();
