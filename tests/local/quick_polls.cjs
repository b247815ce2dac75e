// The CDK CLI asks about a stack every 5 s, and has no option for it. The embedded AWS answers at once.
const later = globalThis.setTimeout;
globalThis.setTimeout = (call, delay, ...given) => later(call, delay === 5000 ? 250 : delay, ...given);
