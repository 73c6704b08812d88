import { z } from "zod";
import type { StandardSchemaIssue, StandardSchemaV1 } from "../../src/index.ts";

/** An order in zod: a default, an optional property, unknown properties are removed. */
export const zodOrder = z.object({
  id: z.string(),
  cents: z.int().min(0),
  tags: z.array(z.string()).default([]),
  note: z.string().optional(),
});

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The same standard, made by hand; `x` may come as text. */
export const pointSchema: StandardSchemaV1<{ x: number | string; y: number }, Point> = {
  "~standard": {
    version: 1,
    vendor: "by hand",
    validate(value) {
      const issues: StandardSchemaIssue[] = [];
      const given = (typeof value === "object" && value !== null ? value : {}) as Record<
        string,
        unknown
      >;
      const x = Number(given["x"]);
      if (Number.isNaN(x)) issues.push({ message: "must be a number", path: [{ key: "x" }] });
      if (typeof given["y"] !== "number") issues.push({ message: "must be a number", path: ["y"] });
      return issues.length > 0 ? { issues } : { value: { x, y: given["y"] as number } };
    },
  },
};

/** Answers later. */
export const slowPointSchema: typeof pointSchema = {
  "~standard": {
    ...pointSchema["~standard"],
    validate: async (value) => {
      await Promise.resolve();
      return pointSchema["~standard"].validate(value);
    },
  },
};

/** Throws instead of judging, `failures` times. */
export function brokenSchema(failures: number): StandardSchemaV1<string> {
  let left = failures;
  return {
    "~standard": {
      version: 1,
      vendor: "by hand",
      validate(value) {
        if (left-- > 0) throw new Error("the table is away");
        return { value: String(value) };
      },
    },
  };
}
