// What the programs in this directory share: clients of a local Momento server, and the output of the results.
import sdk from '@gomomento/sdk';

/** Without TLS if the arguments are a host and a port; otherwise with the key in the environment. */
export function credentials([hostname, port] = []) {
  return hostname
    ? sdk.CredentialProvider.forMomentoLocal({hostname, port: Number(port)})
    : sdk.CredentialProvider.fromEnvironmentVariable('LEGACY_API_KEY');
}

/** A token's credentials with the endpoints of another key: its own would lead to cache.localhost. */
export function tokenCredentials(token, other) {
  const endpointOverrides = {
    cacheEndpoint: other.getCacheEndpoint(),
    controlEndpoint: other.getControlEndpoint(),
    tokenEndpoint: other.getTokenEndpoint(),
    secureConnection: other.isCacheEndpointSecure(),
  };
  return sdk.CredentialProvider.fromDisposableToken({apiKey: token, endpointOverrides});
}

const loggers = new sdk.DefaultMomentoLoggerFactory(sdk.DefaultMomentoLoggerLevel.ERROR);

export function cacheClient(credentialProvider) {
  const configuration = sdk.Configurations.Laptop.latest(loggers);
  return sdk.CacheClient.create({configuration, credentialProvider, defaultTtlSeconds: 60});
}

export function leaderboardClient(credentialProvider) {
  const configuration = sdk.LeaderboardConfigurations.Laptop.latest(loggers);
  return new sdk.PreviewLeaderboardClient({configuration, credentialProvider});
}

export function topicClient(credentialProvider) {
  const configuration = sdk.TopicConfigurations.Default.latest(loggers);
  return new sdk.TopicClient({configuration, credentialProvider});
}

export function authClient(credentialProvider) {
  const configuration = sdk.AuthClientConfigurations.Default.latest(loggers);
  return new sdk.AuthClient({configuration, credentialProvider});
}

/** The name of a response's class, or the code of its error. */
export function kind(response) {
  return response.errorCode ? response.errorCode() : response.constructor.name;
}

export function print(found) {
  console.log(JSON.stringify(found));
}
