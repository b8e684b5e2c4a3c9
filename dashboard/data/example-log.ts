// The first record a newcomer sends: the same from the page's button and from the curl line beside it.

export const exampleLog = {
  level: "INFO",
  message: "Hello from my terminal",
  service: "hello",
  host: "my-laptop",
};

/** A shell word: in single quotes nothing is special but the quote itself. */
export const shellWord = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function curlLine(origin: string, key: string): string {
  return [
    `curl ${shellWord(`${origin}/api/v1/logs`)}`,
    `-H ${shellWord(`Authorization: Bearer ${key}`)}`,
    `-H 'Content-Type: application/json'`,
    `-d ${shellWord(JSON.stringify(exampleLog))}`,
  ].join(" \\\n  ");
}

export function agentLine(origin: string, key: string): string {
  return `WEIR_URL=${shellWord(origin)} \\\n  WEIR_KEY=${shellWord(key)} \\\n  node dist/metrics-agent.mjs`;
}
