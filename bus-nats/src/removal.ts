import type { Link } from "./link.ts";
import type { WireNames } from "./wire/names.ts";

/**
 * Hears when somebody removes the namespace, so that the parts of a bus forget what they know of it.
 * Whoever removes it over the same connection is done when all buses on that have heard.
 */
export class Removal {
  readonly #callbacks = new Set<() => void>();
  readonly #stop: () => void;

  constructor(link: Link, names: WireNames) {
    const subscription = link.connection.subscribe(names.removed, {
      callback: (error) => {
        if (error) return;
        for (const callback of Array.from(this.#callbacks)) callback();
      },
    });
    this.#stop = () => subscription.unsubscribe();
  }

  /** Calls `callback` after every removal. Returns how to stop that. */
  onRemoved(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  /** Hears no more. */
  close(): void {
    this.#callbacks.clear();
    this.#stop();
  }
}
