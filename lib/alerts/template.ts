// Texts with places for an alert's figures: `{{value}}` and `{{labels.host}}`. Nothing else may stand in braces.

const PLACE = /\{\{([^{}]*)\}\}/g;

/** @returns what is wrong with it, if anything is */
export function templateFault(text: string): string | undefined {
  for (const [place, inner = ""] of text.matchAll(PLACE)) {
    const name = inner.trim();
    if (name === "value" || /^labels\../.test(name)) continue;
    return `knows {{value}} and {{labels.NAME}} only, not ${place}`;
  }
  return undefined;
}

/** A label that is not there is the empty text. */
export function fillTemplate(text: string, value: number, labels: Readonly<Record<string, string>>): string {
  return text.replace(PLACE, (place, inner: string) => {
    const name = inner.trim();
    if (name === "value") return formatValue(value);
    if (!name.startsWith("labels.")) return place;
    const label = name.slice("labels.".length);
    return Object.hasOwn(labels, label) ? (labels[label] ?? "") : "";
  });
}

/** Six digits of a fraction are enough for people: `93.4`, not `93.40000000000001`. */
export function formatValue(value: number): string {
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(6)));
}
