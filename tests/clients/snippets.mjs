// What tests/clients/test_snippets.py has the client of examples/clients do: `node snippets.mjs FILE URL FLAKY KEY`.
const [file, url, flaky, key] = process.argv.slice(2);
const { Leaderboard, Refused } = await import(file);

const game = new Leaderboard(url, () => key);
await game.submit("kart", "v", 34, { metadata: { car: "pipe" } });
const tokens = ["expired", await game.playerToken("silverhand", ["kart", "sums"])];
const player = new Leaderboard(`${flaky}/`, async () => tokens.shift());
const submitted = await player.submit("sums", "silverhand", 5, { key: "one" });
const again = await player.submit("sums", "silverhand", 5, { key: "one" });
const refused = await player.submit("kart", "v", 99).catch((error) => error);

const changes = [];
for await (const rows of player.watch("kart", { count: 2 })) {
  changes.push(rows.map(({ name, score }) => [name, score]));
  if (changes.length === 1) await player.submit("kart", "silverhand", 2077);
  if (changes.length === 2) await game.submit("kart", "judy", 3000);
  if (changes.length === 3) break;
}
const names = [];
for await (const { name } of player.entries("kart", 2)) names.push(name);
console.log(JSON.stringify({
  submitted: submitted.score, again: again.score, refused: [refused instanceof Refused, refused.status], changes, names,
  standing: await player.standing("kart", "silverhand"), nobody: await player.standing("kart", "nobody"),
  top: (await player.top("kart", 1)).map(({ name, rank }) => [name, rank]),
  around: (await player.around("kart", "v", 1)).map(({ name }) => name),
}));
