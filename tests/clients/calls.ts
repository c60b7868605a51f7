// What a generated TypeScript client is good for: the README's calls, and every kind of read. Its arguments are the URL and a key.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

const baseUrl = process.argv[2];
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${process.argv[3]}` } });

function same(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
  }
}

async function submit(board: string, name: string, body: components["schemas"]["Submit"], prefer?: string) {
  return await client.POST("/{board}/{name}", {
    params: { path: { board, name }, header: { Prefer: prefer } },
    body,
  });
}

type Query = NonNullable<paths["/{board}"]["get"]["parameters"]["query"]>;

async function read(board: string, query?: Query) {
  const { data, error } = await client.GET("/{board}", { params: { path: { board }, query } });
  if (data === undefined) throw new Error(error.detail);
  return data;
}

async function names(query?: Query): Promise<string[]> {
  return (await read("grand-prix", query)).leaderboard.map((entry) => entry.name);
}

async function main(): Promise<void> {
  same((await submit("mario-kart", "v", { score: 2077 })).response.status, 202);
  await submit("mario-kart", "silverhand", { score: 34 });
  const { data: standing } = await client.GET("/{board}/{name}", {
    params: { path: { board: "mario-kart", name: "silverhand" } },
  });
  const rank: number | null | undefined = standing?.rank;
  same([standing?.score, rank], [34, 1]);
  same((await read("mario-kart", { startRank: 0, endRank: 20 })).leaderboard, [
    { name: "v", score: 2077 },
    { name: "silverhand", score: 34 },
  ]);

  const { data: definition } = await client.PUT("/-/boards/{board}", {
    params: { path: { board: "grand-prix" } },
    body: { operator: "best", windows: ["daily"], scores: { min: 0 } },
  });
  if (definition === undefined) throw new Error("not defined");
  const order: "ascending" | "descending" = definition.order;
  same([order, definition.scores.integer], ["descending", false]);
  await client.POST("/{board}", {
    params: { path: { board: "grand-prix" } },
    body: { entries: [{ name: "judy", score: 2500 }, { name: "v", score: 2077, metadata: 1 }, { name: "panam", score: 1500 }] },
  });
  const { data: receipt } = await submit("grand-prix", "v", { score: 90 }, "return=representation");
  const previous: number | null | undefined = receipt?.previous?.rank;
  same([previous, receipt?.changed], [1, false]);

  same(await names(), ["judy", "v", "panam"]);
  same(await names({ around: "panam", span: 1, window: "daily" }), ["v", "panam"]);
  same(await names({ name: ["panam", "judy"] }), ["judy", "panam"]);
  same(await names({ minScore: 2000, limit: 1 }), ["judy"]);
  const page = await read("grand-prix", { startRank: 1, endRank: 2, include: ["rank", "metadata", "cursor"] });
  const placed: number | undefined = page.leaderboard[0]?.rank;
  same([placed, page.leaderboard[0]?.metadata], [1, 1]);
  same(await names({ cursor: page.next ?? "" }), ["panam"]);

  const { error } = await client.GET("/{board}", { params: { path: { board: "b" }, query: { around: "nobody" } } });
  same([error?.status, error?.parameter], [404, "around"]);
  const { data: health } = await client.GET("/-/health");
  same(health, { status: "ok" });
  const stranger = await createClient<paths>({ baseUrl }).DELETE("/{board}", { params: { path: { board: "b" } } });
  same(stranger.error?.status, 401);
}

void main();
