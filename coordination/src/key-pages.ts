import type { KeyPage, KeysOptions } from "@busbar/core";

/** As many as a page may have. */
const PAGE = 10_000;

/** All keys of a bucket that fit a pattern, page by page. @defaultValue all */
export async function* keyPages(
  bucket: { keys(options: KeysOptions): Promise<KeyPage> },
  key = ">",
): AsyncGenerator<readonly string[], void> {
  let after: string | undefined;
  do {
    const page = await bucket.keys({ key, limit: PAGE, ...(after !== undefined && { after }) });
    yield page.keys;
    after = page.next;
  } while (after !== undefined);
}
