import { defineTask, DiscardTask, RetryTask } from "@busbar/coordination";
import { z } from "zod";

// What the tenants want done. Whoever submits and whoever runs it share these definitions.

/** Takes a few milliseconds. */
export const mail = defineTask("mail", {
  input: z.object({ to: z.string() }),
  output: z.object({ sentTo: z.string() }),
});

/** Takes seconds, and says how far it is. */
export const upload = defineTask("upload", {
  input: z.object({ parts: z.int() }),
  output: z.object({ parts: z.int() }),
});

/** Comes again and again, by a schedule. */
export const report = defineTask("report", { input: z.object({}), output: z.null() });

/** An address that nothing can be sent to. */
export const WRONG_ADDRESS = "nobody";
/** An address whose server is busy at first. */
export const BUSY_ADDRESS = "busy@example.org";

const MAIL_MS = 40;
const PART_MS = 100;
const BUSY_MS = 200;

/** Runs each kind of work. */
export const handlers = {
  ...mail.handler(async ({ to }, { task, clock, signal }) => {
    await clock.sleep(MAIL_MS, { signal });
    if (to === WRONG_ADDRESS) throw new DiscardTask(`${to} is no address`);
    if (to === BUSY_ADDRESS && task.attempt === 1) throw new RetryTask(BUSY_MS, "try later");
    return { sentTo: to };
  }),
  ...upload.handler(async ({ parts }, context) => {
    const { clock, signal } = context;
    for (let part = 1; part <= parts; part++) {
      await clock.sleep(PART_MS, { signal });
      context.progress({ part });
    }
    return { parts };
  }),
  ...report.handler(() => null),
};
