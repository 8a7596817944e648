// The Node client's first hour: everything here must come out as it does on the service.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const [url, modules] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { Pinecone } = require('@pinecone-database/pinecone');

const client = new Pinecone({ apiKey: 'local', controllerHostUrl: url });

await client.createIndex({
  name: 'node',
  dimension: 3,
  metric: 'cosine',
  spec: { serverless: { cloud: 'aws', region: 'us-east-1' } },
  waitUntilReady: true,
});
const model = await client.describeIndex('node');
assert.equal(model.dimension, 3);
assert.match(model.host, /^http:\/\/127\.0\.0\.1:/);
assert.deepEqual((await client.listIndexes()).indexes.map((index) => index.name), ['node']);

const index = client.index({ host: model.host, namespace: 'ns' });
await index.upsert({
  records: [
    { id: 'a#1', values: [1, 0, 0], metadata: { genre: 'drama', year: 2000, tags: ['x', 'y'] } },
    { id: 'a#2', values: [0, 1, 0], metadata: { genre: 'comedy', year: 2010 } },
    { id: 'b#1', values: [0.9, 0.1, 0], metadata: { genre: 'drama', year: 2020 } },
  ],
});

const found = await index.query({
  vector: [1, 0, 0],
  topK: 5,
  filter: { genre: { $eq: 'drama' }, year: { $gte: 2010 } },
  includeMetadata: true,
  includeValues: true,
});
assert.deepEqual(found.matches.map((match) => match.id), ['b#1']);
assert.equal(found.matches[0].metadata.year, 2020);
assert.deepEqual(found.matches[0].values, [0.9, 0.1, 0]);
assert.deepEqual((await index.query({ id: 'a#1', topK: 1 })).matches.map((m) => m.id), ['a#1']);

const fetched = await index.fetch({ ids: ['a#1', 'nobody'] });
assert.deepEqual(Object.keys(fetched.records), ['a#1']);
assert.deepEqual(fetched.records['a#1'].metadata.tags, ['x', 'y']);

await index.update({ id: 'a#1', metadata: { genre: 'news' } });
assert.equal((await index.fetch({ ids: ['a#1'] })).records['a#1'].metadata.genre, 'news');

const page = await index.listPaginated({ prefix: 'a#', limit: 1 });
assert.deepEqual(page.vectors.map((item) => item.id), ['a#1']);
const next = await index.listPaginated({
  prefix: 'a#',
  limit: 1,
  paginationToken: page.pagination.next,
});
assert.deepEqual(next.vectors.map((item) => item.id), ['a#2']);

await index.deleteOne({ id: 'a#2' });
await index.deleteMany({ filter: { genre: 'news' } });
const stats = await index.describeIndexStats();
assert.equal(stats.totalRecordCount, 1);
assert.equal(stats.namespaces.ns.recordCount, 1);
assert.equal(stats.dimension, 3);

await assert.rejects(index.upsert({ records: [{ id: 'c', values: [1] }] }), /dimension/);
await index.deleteAll();
assert.equal((await index.describeIndexStats()).totalRecordCount ?? 0, 0);
await client.deleteIndex('node');
console.log('ok');
