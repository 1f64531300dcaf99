// Writes what is generated from code: the specification's tables and the golden vectors. Run under the pinned Node.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./run.mjs";

const { withTables } = await import("../protocol/tables.ts");
const { goldenVectors } = await import("../test/protocol/golden.ts");

const specification = join(root, "protocol", "README.md");
writeFileSync(specification, withTables(readFileSync(specification, "utf8")));
const { settingsTable } = await import("../relay/settings.ts");
const operations = join(root, "docs", "operations.md");
writeFileSync(operations, withTables(readFileSync(operations, "utf8"), { settings: settingsTable }));
if (process.argv.includes("--golden")) {
  const vectors = join(root, "protocol", "vectors", "frames.json");
  writeFileSync(vectors, `${JSON.stringify(goldenVectors(), undefined, 2)}\n`);
  const golden = await import("../test/crypto/golden.ts");
  const files = {
    conversations: golden.goldenConversations(),
    group: golden.goldenGroup(),
    linkings: golden.goldenLinkings(),
    media: golden.goldenMedia(),
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(
      join(root, "crypto", "vectors", `${name}.json`),
      `${JSON.stringify(content, undefined, 2)}\n`,
    );
}
