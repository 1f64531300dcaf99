// What one runs while working: types, lint, format and the quick tests, in under 30 s.
import { format, lint, step, types } from "./run.mjs";

if (types() && lint() && format()) step("quick tests", "vitest", ["run", "--project", "quick"]);
