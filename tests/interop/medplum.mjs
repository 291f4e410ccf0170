// Reads and searches with @medplum/core: what it got goes to standard output as JSON.
// node medplum.mjs MODULE BASE TOKEN TYPE ID
const [module, baseUrl, token, type, id] = process.argv.slice(2);
globalThis.WebSocket ??= class {}; // it is named there, not used here; Node has it from 22 on
const { MedplumClient } = await import(module);
const client = new MedplumClient({ baseUrl, fhirUrlPath: 'fhir', cacheTime: 0 });
if (token) client.setAccessToken(token);

const read = await client.readResource(type, id);
const found = [];
let pages = 0;
for await (const page of client.searchResourcePages(type, { _count: '7' })) {
  pages += 1;
  found.push(...page.map((one) => one.id));
}
const of = await client.searchResources('Goal', { patient: 'client.client-01' });
const version = await client.readVersion(type, id, read.meta.versionId);
const history = await client.readHistory(type, id);
let missing = '';
try {
  await client.readResource(type, 'none');
} catch (error) {
  missing = error.outcome.issue[0].code;
}
const said = {
  read,
  found,
  pages,
  of: of.map((one) => one.subject.reference),
  version,
  history: history.entry.length,
  missing,
};
console.log(JSON.stringify(said));
