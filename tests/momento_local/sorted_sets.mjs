// Makes all calls on caches and on sorted sets, and prints the answers: CACHE [HOST PORT].
import {SortedSetOrder} from '@gomomento/sdk';
import {cacheClient, credentials, kind, print} from './client.mjs';

const [cache, ...place] = process.argv.slice(2);
const client = await cacheClient(credentials(place));
const names = async () => (await client.listCaches()).getCaches().map(info => info.getName());
const page = response => response.value().map(({value, score}) => [value, score]);
const found = {};

found.created = kind(await client.createCache(cache));
found.createdAgain = kind(await client.createCache(cache));
found.listed = (await names()).includes(cache);
found.put = kind(await client.sortedSetPutElement(cache, 'set', 'v', 2077));
found.putMany = kind(await client.sortedSetPutElements(cache, 'set', {silverhand: 34, takemura: 34, judy: -1.5}));
found.ascending = page(await client.sortedSetFetchByRank(cache, 'set'));
found.descending = page(
  await client.sortedSetFetchByRank(cache, 'set', {order: SortedSetOrder.Descending, startRank: 0, endRank: 2})
);
found.byScore = page(await client.sortedSetFetchByScore(cache, 'set', {minScore: -1.5, maxScore: 34, offset: 1, count: 2}));
found.score = (await client.sortedSetGetScore(cache, 'set', 'v')).score();
found.scores = (await client.sortedSetGetScores(cache, 'set', ['v', 'nobody', 'judy'])).value();
found.noScore = kind(await client.sortedSetGetScore(cache, 'set', 'nobody'));
found.rank = (await client.sortedSetGetRank(cache, 'set', 'v', {order: SortedSetOrder.Descending})).rank();
found.noRank = kind(await client.sortedSetGetRank(cache, 'none', 'v'));
found.incremented = (await client.sortedSetIncrementScore(cache, 'set', 'v', -77)).score();
found.length = (await client.sortedSetLength(cache, 'set')).length();
found.lengthByScore = (await client.sortedSetLengthByScore(cache, 'set', {minScore: 34})).length();
found.union = (
  await client.sortedSetUnionStore(cache, 'union', [
    {sortedSetName: 'set', weight: 2},
    {sortedSetName: 'none', weight: 1},
  ])
).length();
found.removed = kind(await client.sortedSetRemoveElement(cache, 'set', 'v'));
found.removedMany = kind(await client.sortedSetRemoveElements(cache, 'set', ['silverhand', 'takemura', 'judy']));
found.empty = kind(await client.sortedSetFetchByRank(cache, 'set'));
found.flushed = kind(await client.flushCache(cache));
found.unionFlushed = kind(await client.sortedSetFetchByRank(cache, 'union'));
found.deleted = kind(await client.deleteCache(cache));
found.gone = kind(await client.sortedSetPutElement(cache, 'set', 'v', 1));

client.close();
print(found);
