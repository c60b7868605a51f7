"""The leaderboard that most teams would write: FastAPI, redis-py and a sorted set. REDIS_PORT is the port of Redis."""

import os

from fastapi import FastAPI, Response
from pydantic import BaseModel
from redis.asyncio import Redis

app = FastAPI()
redis = Redis(port=int(os.environ.get("REDIS_PORT", "6379")), decode_responses=True)


class Submission(BaseModel):
    """The body of a submit."""

    score: float


class Standing(BaseModel):
    """Score and rank of one name."""

    score: float
    rank: int | None


class Entry(BaseModel):
    """A name and its score."""

    name: str
    score: float


class Page(BaseModel):
    """Entries by rank."""

    leaderboard: list[Entry]


@app.post("/{board}/{name}", status_code=202)
async def submit(board: str, name: str, submission: Submission) -> Response:
    """Set the score of a name."""
    await redis.zadd(board, {name: submission.score})
    return Response(status_code=202)


@app.get("/{board}/{name}")
async def standing(board: str, name: str) -> Standing:
    """Return score and rank, both from one round trip."""
    async with redis.pipeline(transaction=False) as pipeline:
        score, rank = await pipeline.zscore(board, name).zrevrank(board, name).execute()
    return Standing(score=score or 0, rank=rank)


@app.get("/{board}")
async def page(board: str, startRank: int = 0, endRank: int | None = None) -> Page:  # noqa: N803
    """Return the entries of a range of ranks."""
    stop = startRank + 20 if endRank is None else endRank
    rows = await redis.zrevrange(board, startRank, stop - 1, withscores=True)
    return Page(leaderboard=[Entry(name=name, score=score) for name, score in rows])
