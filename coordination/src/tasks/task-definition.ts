import {
  BusError,
  type SchemaInput,
  type SchemaOutput,
  type StandardSchemaV1,
  toText,
} from "@busbar/core";
import { invalidPayload, schemaIssues } from "@busbar/core/adapter";
import type { JsonValue } from "../tenants/tenant.ts";
import type { TaskContext, TaskHandler } from "./running-task.ts";
import type { Task, TaskInput } from "./task.ts";
import { DiscardTask } from "./task-errors.ts";
import type { TaskHandle } from "./task-handle.ts";
import type { TaskQueue } from "./task-queue.ts";

/** What a kind of task takes and gives. Its JSON is checked with these schemas (zod or another Standard Schema). */
export interface TaskSchemas<Input extends StandardSchemaV1, Output extends StandardSchemaV1> {
  /** Of the payload. */
  readonly input: Input;
  /** Of what the handler returns. */
  readonly output: Output;
}

/** A task of a definition: everything of a {@link TaskInput} but what the definition says. */
export interface DefinedTaskInput<Input> extends Omit<TaskInput, "type" | "payload"> {
  readonly input: Input;
}

/** Runs tasks of a definition. */
export type DefinedTaskHandler<Input, Output> = (
  input: Input,
  context: TaskContext & { readonly task: Task },
) => Output | Promise<Output>;

/**
 * A kind of task with checked payloads and results, shared by those who submit and those who run it.
 */
export class TaskDefinition<Input extends StandardSchemaV1, Output extends StandardSchemaV1> {
  readonly type: string;
  readonly #schemas: TaskSchemas<Input, Output>;

  constructor(type: string, schemas: TaskSchemas<Input, Output>) {
    this.type = type;
    this.#schemas = schemas;
  }

  /**
   * Checks the input and submits it as JSON.
   * @throws BusError `INVALID_ARGUMENT` with `details.issues`; those of `TaskQueue.submit`
   */
  async submit(
    queue: TaskQueue,
    { input, ...task }: DefinedTaskInput<SchemaInput<Input>>,
  ): Promise<TaskHandle<SchemaOutput<Output>>> {
    await check(this.#schemas.input, input, `the input of task ${this.type}`);
    const payload = JSON.stringify(input);
    const handle = await queue.submit({ ...task, type: this.type, payload });
    return handle as unknown as TaskHandle<SchemaOutput<Output>>;
  }

  /**
   * Its entry of `WorkerPoolOptions.handlers`. An input that does not fit, and a result that does not, are
   * failures for good (`invalid`): another attempt would not mend them.
   */
  handler(
    handle: DefinedTaskHandler<SchemaOutput<Input>, SchemaInput<Output>>,
  ): Readonly<Record<string, TaskHandler>> {
    const run: TaskHandler = async (task, context) => {
      const input = await orDiscard(() =>
        check(this.#schemas.input, parse(task), `the input of task ${this.type}`),
      );
      const output = await handle(input as SchemaOutput<Input>, { ...context, task });
      return orDiscard(() =>
        check(this.#schemas.output, output, `the result of task ${this.type}`),
      );
    };
    return { [this.type]: run };
  }
}

/** Defines a kind of task. See {@link TaskDefinition}. */
export function defineTask<Input extends StandardSchemaV1, Output extends StandardSchemaV1>(
  type: string,
  schemas: TaskSchemas<Input, Output>,
): TaskDefinition<Input, Output> {
  return new TaskDefinition(type, schemas);
}

async function check(schema: StandardSchemaV1, value: unknown, what: string): Promise<unknown> {
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) return result.value;
  throw invalidPayload(what, schemaIssues(result.issues));
}

function parse({ payload }: Task): JsonValue {
  try {
    return JSON.parse(toText(payload)) as JsonValue;
  } catch {
    throw new BusError("INVALID_ARGUMENT", "the payload is no JSON");
  }
}

async function orDiscard(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    throw new DiscardTask((error as Error).message, "invalid");
  }
}
