// The CDK CLI polls a stack every 5 s and has no option for the interval. The embedded AWS deploys faster.
const later = globalThis.setTimeout;
globalThis.setTimeout = (call, delay, ...args) => later(call, delay === 5000 ? 250 : delay, ...args);
