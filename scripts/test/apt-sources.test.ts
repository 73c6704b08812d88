import { describe, expect, it } from "vitest";
import { deriveSources, withKeyring } from "../src/apt-sources.ts";

const STANZAS = `# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /keys/archive.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://tool.example/apt
Suites: bookworm
Components: stable
`;

const LINES = `# deb http://off.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/a.gpg] http://mirror.example/debian bookworm main contrib # own
deb http://mirror.example/debian bookworm-updates main
deb-src http://mirror.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
`;

describe("deriveSources", () => {
  it("puts the suite into the stanzas of the Debian archive and drops the others", () => {
    const [file, ...rest] = deriveSources([{ name: "debian.sources", text: STANZAS }], "sid");
    expect(rest).toEqual([]);
    expect(file?.text.trim().split("\n").sort()).toEqual([
      "Components: main",
      "Signed-By: /keys/archive.gpg",
      "Suites: sid",
      "Types: deb",
      "URIs: http://mirror.example/debian",
    ]);
  });

  it("keeps a key that is written into a stanza", () => {
    const key = "Signed-By:\n -----BEGIN\n .\n abc\n -----END";
    const text = `Types: deb\nURIs: http://m.example/d\nSuites: trixie\nComponents: main\n${key}\n`;
    expect(deriveSources([{ name: "a.sources", text }], "sid")[0]?.text).toContain(key);
  });

  it("puts the suite into one-line entries and keeps their options", () => {
    const derived = deriveSources([{ name: "sources.list", text: LINES }], "trixie");
    expect(derived.map((file) => file.text)).toEqual([
      "deb [arch=amd64 signed-by=/keys/a.gpg] http://mirror.example/debian trixie main\n",
    ]);
  });

  it("leaves each entry its own suite when none is given", () => {
    const derived = deriveSources([{ name: "debian.sources", text: STANZAS }], undefined);
    expect(derived[0]?.text).toContain("Suites: bookworm\n");
  });

  it("finds nothing on a machine without Debian entries", () => {
    const text = "deb http://mirror.example/ubuntu noble main\n";
    expect(deriveSources([{ name: "sources.list", text }], "sid")).toEqual([]);
  });
});

describe("withKeyring", () => {
  it("replaces the keyring in both formats", () => {
    const files = [
      { name: "debian.sources", text: STANZAS },
      { name: "sources.list", text: LINES },
    ];
    const [stanzas, lines] = withKeyring(deriveSources(files, "sid"), "/new.gpg");
    expect(stanzas?.text).toContain("Signed-By: /new.gpg");
    expect(stanzas?.text).not.toContain("/keys/");
    expect(lines?.text).toContain("[arch=amd64 signed-by=/new.gpg]");
  });
});
