// How the programs beside this one reach a local Momento server, and how they tell what they found.
import sdk from '@gomomento/sdk';

/** Without TLS where arguments tell a host and a port; else by the one key that the environment holds. */
export function credentials([hostname, port] = []) {
  return hostname
    ? sdk.CredentialProvider.forMomentoLocal({hostname, port: Number(port)})
    : sdk.CredentialProvider.fromEnvironmentVariable('LEGACY_API_KEY');
}

/** Leads a token's holder to the same place as another key: by its own endpoint it would look for cache.localhost. */
export function tokenCredentials(token, leading) {
  const endpointOverrides = {
    cacheEndpoint: leading.getCacheEndpoint(),
    controlEndpoint: leading.getControlEndpoint(),
    tokenEndpoint: leading.getTokenEndpoint(),
    secureConnection: leading.isCacheEndpointSecure(),
  };
  return sdk.CredentialProvider.fromDisposableToken({apiKey: token, endpointOverrides});
}

const loggers = new sdk.DefaultMomentoLoggerFactory(sdk.DefaultMomentoLoggerLevel.ERROR);

export function cacheClient(credentialProvider) {
  const configuration = sdk.Configurations.Laptop.latest(loggers);
  return sdk.CacheClient.create({configuration, credentialProvider, defaultTtlSeconds: 60});
}

export function topicClient(credentialProvider) {
  const configuration = sdk.TopicConfigurations.Default.latest(loggers);
  return new sdk.TopicClient({configuration, credentialProvider});
}

export function authClient(credentialProvider) {
  const configuration = sdk.AuthClientConfigurations.Default.latest(loggers);
  return new sdk.AuthClient({configuration, credentialProvider});
}

/** The name of what was answered, with the code of an error. */
export function kind(response) {
  return response.errorCode ? response.errorCode() : response.constructor.name;
}

export function tell(found) {
  console.log(JSON.stringify(found));
}
