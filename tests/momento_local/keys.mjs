// Makes tokens and keys, and prints what each may do: CACHE [HOST PORT].
import {DisposableTokenScopes, ExpiresIn, PermissionScopes} from '@gomomento/sdk';
import {authClient, cacheClient, credentials, kind, print, tokenCredentials} from './client.mjs';

const [cache, ...place] = process.argv.slice(2);
const owner = credentials(place);
const auth = authClient(owner);

async function may(token) {
  const client = await cacheClient(tokenCredentials(token, owner));
  const read = kind(await client.sortedSetGetScore(cache, 'mine', 'v'));
  const write = kind(await client.sortedSetPutElement(cache, 'mine', 'v', 1));
  const writeOther = kind(await client.sortedSetPutElement(cache, 'other', 'v', 1));
  client.close();
  return [read, write, writeOther];
}

const found = {};
const minute = ExpiresIn.minutes(1);
const reader = await auth.generateDisposableToken(DisposableTokenScopes.cacheReadOnly(cache), minute);
found.readOnlyToken = await may(reader.authToken);
const writer = await auth.generateDisposableToken(DisposableTokenScopes.cacheKeyReadWrite(cache, 'mine'), minute);
found.tokenOfOneSet = await may(writer.authToken);
found.readerMayNotMakeWriter = kind(
  await authClient(tokenCredentials(reader.authToken, owner)).generateDisposableToken(
    DisposableTokenScopes.cacheWriteOnly(cache),
    minute
  )
);
const key = await auth.generateApiKey(PermissionScopes.cacheReadWrite(cache), ExpiresIn.never());
found.key = await may(key.apiKey);
const renewed = await authClient(tokenCredentials(key.apiKey, owner)).refreshApiKey(key.refreshToken);
found.renewedKey = await may(renewed.apiKey);
found.neverExpires = !renewed.expiresAt.doesExpire();
found.wrongKey = await may(Buffer.from(JSON.stringify({endpoint: 'x', api_key: 'wrong'})).toString('base64'));
print(found);
