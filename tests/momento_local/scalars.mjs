// Makes the SDK's calls on scalars and on items of any kind, and prints the answers: CACHE [HOST PORT].
import {cacheClient, credentials, kind, print} from './client.mjs';

const [cache, ...place] = process.argv.slice(2);
const client = await cacheClient(credentials(place));
const found = {};

found.ifAbsent = [kind(await client.setIfAbsent(cache, 'k', 'one')), kind(await client.setIfAbsent(cache, 'k', 'two'))];
found.ifNotExists = kind(await client.setIfNotExists(cache, 'k', 'two'));
found.ifPresent = [kind(await client.setIfPresent(cache, 'k', 'two')), kind(await client.setIfPresent(cache, 'none', 'x'))];
found.ifEqual = [kind(await client.setIfEqual(cache, 'k', 'three', 'two')), kind(await client.setIfEqual(cache, 'k', 'x', 'two'))];
found.ifNotEqual = [
  kind(await client.setIfNotEqual(cache, 'k', 'x', 'three')),
  kind(await client.setIfNotEqual(cache, 'other', 'x', 'y')),
];
found.ifPresentAndNotEqual = [
  kind(await client.setIfPresentAndNotEqual(cache, 'k', 'four', 'x')),
  kind(await client.setIfPresentAndNotEqual(cache, 'none', 'x', 'y')),
];
found.ifAbsentOrEqual = [
  kind(await client.setIfAbsentOrEqual(cache, 'k', 'x', 'y')),
  kind(await client.setIfAbsentOrEqual(cache, 'new', 'x', 'y')),
];
found.value = (await client.get(cache, 'k')).value();

const hash = response => response.hashUint8Array();
found.noHash = kind(await client.getWithHash(cache, 'hashed'));
const first = hash(await client.setWithHash(cache, 'hashed', 'one'));
const again = await client.getWithHash(cache, 'hashed');
found.hashed = [again.valueString(), Buffer.compare(hash(again), first)];
found.ifHash = [
  kind(await client.setIfPresentAndHashNotEqual(cache, 'hashed', 'x', first)),
  kind(await client.setIfAbsentOrHashNotEqual(cache, 'hashed', 'x', first)),
  kind(await client.setIfPresentAndHashEqual(cache, 'hashed', 'two', first)),
  kind(await client.setIfAbsentOrHashEqual(cache, 'hashed', 'x', first)),
];

found.incremented = [(await client.increment(cache, 'n', 5)).value(), (await client.increment(cache, 'n', -7)).value()];
found.noNumber = kind(await client.increment(cache, 'k', 1));
await client.sortedSetPutElement(cache, 'set', 'v', 1);
found.exist = (await client.keysExist(cache, ['k', 'none', 'set'])).exists();
found.exist.push((await client.keyExists(cache, 'k')).exists(), (await client.keysExist(cache, [])).exists().length);
found.types = [(await client.itemGetType(cache, 'k')).itemType(), (await client.itemGetType(cache, 'set')).itemType()];
found.noType = kind(await client.itemGetType(cache, 'none'));
found.ttls = [
  kind(await client.updateTtl(cache, 'set', 100_000)),
  kind(await client.increaseTtl(cache, 'set', 50_000)),
  kind(await client.decreaseTtl(cache, 'set', 200_000)),
  kind(await client.increaseTtl(cache, 'set', 200_000)),
  kind(await client.decreaseTtl(cache, 'set', 90_000)),
  kind(await client.updateTtl(cache, 'none', 1_000)),
];
const left = (await client.itemGetTtl(cache, 'set')).remainingTtlMillis();
found.left = left > 30_000 && left <= 90_000;
found.noTtl = kind(await client.itemGetTtl(cache, 'none'));
client.close();
print(found);
