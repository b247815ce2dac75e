// Runs the commands of the CDK CLI that a pipe lists, one JSON object a line, one after another in one process.
// A command ends when no work is left, as a process of the CLI does. Then this prints the given mark and the exit code.
const fs = require("node:fs");
const [package, mark, pipe] = process.argv.slice(2);
const { cli } = require(package);

function nextCommand() {
  const line = [];
  for (const byte = Buffer.alloc(1); fs.readSync(Number(pipe), byte) === 1 && byte[0] !== 10; ) line.push(byte[0]);
  if (line.length === 0) process.exit(0);
  return JSON.parse(Buffer.from(line).toString());
}

process.on("beforeExit", (code) => {
  process.stdout.write(`${mark} ${code}\n`);
  const command = nextCommand();
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, command.environment);
  process.chdir(command.directory);
  process.exitCode = 0;
  cli(command.arguments);
});
