// The CDK CLI polls a stack every 5 s and has no option for the interval. The embedded AWS deploys in less time.
const original = globalThis.setTimeout;
globalThis.setTimeout = (callback, delay, ...rest) => original(callback, delay === 5000 ? 250 : delay, ...rest);
