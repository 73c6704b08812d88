/** The same object, with some members of its own. */
export function overriding<Target extends object>(
  target: Target,
  members: Partial<Target>,
): Target {
  return new Proxy(target, {
    get: (_target, name) => {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name) as unknown;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}
