// Makes all calls on leaderboards, and prints the answers: CACHE [HOST PORT].
import grpc from '@grpc/grpc-js';
import wire from '@gomomento/generated-types/dist/leaderboard.js';
import {LeaderboardOrder} from '@gomomento/sdk';
import {credentials, kind, leaderboardClient, print} from './client.mjs';

const [cache, ...place] = process.argv.slice(2);
const provider = credentials(place);
const client = leaderboardClient(provider);
const board = client.leaderboard(cache, 'board');
const descending = {order: LeaderboardOrder.Descending};
const rows = response => response.values().map(({id, rank, score}) => [id, rank, score]);
const found = {};

found.missing = rows(await board.fetchByRank(0, 10));
found.noLength = (await board.length()).length();
found.put = kind(await board.upsert(new Map([[1, 20], [2, 10.5], [10, 20], [4294967295, -3]])));
found.replaced = kind(await board.upsert({2: 30}));
found.byRank = rows(await board.fetchByRank(0, 10));
found.byRankDescending = rows(await board.fetchByRank(1, 3, descending));
found.byScore = rows(await board.fetchByScore({minScore: -3, maxScore: 30}));
found.byScoreDescending = rows(await board.fetchByScore({minScore: 0, offset: 1, count: 2, ...descending}));
found.ranks = rows(await board.getRank([2, 999, 4294967295]));
found.ranksDescending = rows(await board.getRank([2, 10], descending));
found.length = (await board.length()).length();
found.tooMany = kind(await board.fetchByRank(0, 8193));
found.removed = kind(await board.removeElements([2, 999]));
found.left = rows(await board.fetchByRank(0, 10));
found.noCache = kind(await client.leaderboard('no-such-cache', 'board').length());

// The SDK has no method for competition ranks: this is its stub.
const {leaderboard} = wire;
const secure = provider.isCacheEndpointSecure() ? grpc.credentials.createSsl() : grpc.credentials.createInsecure();
const stub = new leaderboard.LeaderboardClient(provider.getCacheEndpoint(), secure);
const metadata = new grpc.Metadata();
metadata.set('cache', cache);
if (provider.getAuthToken()) metadata.set('authorization', provider.getAuthToken());
const competitionRanks = order =>
  new Promise((resolve, reject) => {
    const request = new leaderboard._GetCompetitionRankRequest({leaderboard: 'board', ids: [10, 1, 4294967295], order});
    const answer = (error, {elements} = {}) =>
      error ? reject(error) : resolve(elements.map(({id, rank, score}) => [id, rank, score]));
    stub.GetCompetitionRank(request, metadata, answer);
  });
found.competitionRanks = await competitionRanks();
found.competitionRanksAscending = await competitionRanks(leaderboard._Order.ASCENDING);
stub.close();

found.deleted = kind(await board.delete());
found.deletedAgain = kind(await board.delete());
found.gone = (await board.length()).length();
client.close();
print(found);
