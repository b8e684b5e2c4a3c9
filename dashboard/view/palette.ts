// The colours that CSS defines, for what draws without CSS (canvas). Read anew when the colour scheme changes.

export const lineColours = 8;

export interface Palette {
  ink: string;
  grid: string;
  font: string;
  lines: string[];
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ink: read("--ink-3"),
    grid: read("--grid"),
    font: `11px ${read("--sans")}`,
    lines: Array.from({ length: lineColours }, (_, index) => read(`--line-${index + 1}`)),
  };
}

export function onColourSchemeChange(redraw: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
