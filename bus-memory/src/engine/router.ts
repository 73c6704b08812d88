import { SubjectTree } from "./subject-tree.ts";

/** A place in a {@link Router}. */
export interface Route<T> {
  readonly pattern: string;
  /** Members of one group share what arrives; `undefined` gets everything. */
  readonly group: string | undefined;
  readonly target: T;
}

interface Choice<T> {
  readonly everyone: readonly T[];
  readonly groups: readonly { readonly name: string; readonly members: readonly T[] }[];
}

const MAX_CACHED = 1_024;

/** Routes what is sent live: to everybody without a group, and to one member of each group in turn. */
export class Router<T> {
  readonly #tree = new SubjectTree<Route<T>>();
  readonly #choices = new Map<string, Choice<T>>();
  readonly #turns = new Map<string, number>();

  /** How many routes there are. */
  get size(): number {
    return this.#tree.size;
  }

  /** Adds a route. */
  add(route: Route<T>): void {
    this.#tree.add(route.pattern, route);
    this.#choices.clear();
  }

  /** Removes a route. */
  remove(route: Route<T>): void {
    this.#tree.remove(route.pattern, route);
    this.#choices.clear();
    if (this.#tree.size === 0) this.#turns.clear();
  }

  /** Who gets one message on `subject`. */
  select(subject: string): readonly T[] {
    if (this.#tree.size === 0) return [];
    const { everyone, groups } = this.#choice(subject);
    if (groups.length === 0) return everyone;
    const selected = [...everyone];
    for (const { name, members } of groups) {
      const turn = this.#turns.get(name) ?? 0;
      this.#turns.set(name, turn + 1);
      selected.push(members[turn % members.length] as T);
    }
    return selected;
  }

  #choice(subject: string): Choice<T> {
    const known = this.#choices.get(subject);
    if (known !== undefined) return known;
    const everyone: T[] = [];
    const groups = new Map<string, T[]>();
    for (const { group, target } of this.#tree.match(subject)) {
      const members = group === undefined ? everyone : groups.get(group);
      if (members) members.push(target);
      else groups.set(group as string, [target]);
    }
    const choice = {
      everyone,
      groups: [...groups].map(([name, members]) => ({ name, members })),
    };
    if (this.#choices.size >= MAX_CACHED) this.#choices.clear();
    this.#choices.set(subject, choice);
    return choice;
  }
}
