// Subscribes to a topic, publishes to it, and prints what arrived: CACHE [HOST PORT].
import {TopicSubscribe} from '@gomomento/sdk';
import {credentials, kind, print, topicClient} from './client.mjs';

const [cache, ...place] = process.argv.slice(2);
const client = topicClient(credentials(place));
const items = [];
let end;
const arrived = new Promise(resolve => (end = resolve));

const subscription = await client.subscribe(cache, 'scores', {
  onItem: item => items.push([item.valueString(), item.sequenceNumber()]) === 2 && end(),
  onError: error => items.push(String(error)) && end(),
});
const published = [];
for (const value of ['one', 'two']) published.push(kind(await client.publish(cache, 'scores', value)));
await arrived;
const missing = kind(await client.publish('no-such-cache', 'scores', 'three'));

if (subscription instanceof TopicSubscribe.Subscription) subscription.unsubscribe();
print({published, items, missing});
