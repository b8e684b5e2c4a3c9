// The settings as a Markdown table, for the README: what is declared in settings.ts and nothing else.
import { z } from "zod";

/** Rows `| setting | default | what it does |`, in the order of the schema. */
export function renderSettingsTable(schema: z.ZodObject): string {
  const rows = Object.entries(schema.shape).map(([name, field]) => {
    const { description } = z.globalRegistry.get(field) ?? {};
    if (description === undefined) throw new TypeError(`${name} has no description`);
    const choices = choicesOf(field);
    const listed = choices.length > 1 ? `; one of ${choices.map(code).join(", ")}` : "";
    return `| ${code(name)} | ${defaultOf(field)} | ${cell(description + listed)} |`;
  });
  return ["| setting | default | what it does |", "|---|---|---|", ...rows].join("\n");
}

function defaultOf(field: z.core.$ZodType): string {
  return field instanceof z.ZodDefault ? cell(code(String(field.def.defaultValue))) : "";
}

function choicesOf(field: z.core.$ZodType): string[] {
  if (field instanceof z.ZodDefault || field instanceof z.ZodOptional) return choicesOf(field.def.innerType);
  return field instanceof z.ZodEnum ? field.options.map(String) : [];
}

const code = (text: string) => `\`${text}\``;

/** A `|` would end the cell. */
const cell = (text: string) => text.replaceAll("|", "\\|");
