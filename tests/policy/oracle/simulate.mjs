// Simulations in, one JSON document; what @cloud-copilot/iam-simulate says of each out.
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const answers = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  const answer = await runSimulation(simulation, { simulationMode: 'Strict' })
  answers.push({
    result: answer.overallResult ?? null,
    errors: answer.errors ?? null,
    ignored: answer.result?.ignoredContextKeys ?? [],
  })
}
process.stdout.write(JSON.stringify(answers))
