// The container's own look at its relay: ends with 0 if /ready says 200, else with 1. Plain JavaScript, and nothing but Node.
const port = process.env.LETHE_PORT ?? "8787";
const scheme = (process.env.LETHE_TLS_CERT ?? "") === "" ? "http" : "https";

try {
  const { request } = await import(`node:${scheme}`);
  const status = await new Promise((resolve, reject) => {
    // Its own certificate is not asked who it is.
    const options = { host: "127.0.0.1", port, path: "/ready", timeout: 2_000, rejectUnauthorized: false };
    const asked = request(options, (answer) => resolve(answer.resume().statusCode));
    asked.on("timeout", () => asked.destroy(new Error("no answer within 2 s")));
    asked.on("error", reject);
    asked.end();
  });
  if (status !== 200) throw new Error(`/ready answers ${status}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
