// Builds DOM nodes. Text goes in as text and never as markup: what a log line holds cannot become an element.

type Child = Node | string;

/** `el("p", { class: "note" }, "text", child)`; an attribute that is false or undefined is left out, true is empty. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | boolean | undefined>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Sets text only when it differs, so that a selection in it outlives a refresh. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}
