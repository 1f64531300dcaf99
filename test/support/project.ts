// Where the project lies, for tests that read its files or run its tools.
import { fileURLToPath } from "node:url";

export const projectPath = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
