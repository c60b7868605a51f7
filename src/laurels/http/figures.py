"""What each figure means that parts of the service measure of themselves, by its name in the metrics.

A name has the unit in it, as Prometheus wants it; ``laurels_`` is put before it, ``_total`` behind that of a counter.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Meaning(NamedTuple):
    """What a figure is, how it behaves, and the labels that it has one number for each value of."""

    about: str
    kind: Literal["gauge", "counter", "histogram"] = "gauge"
    labels: tuple[str, ...] = ()


FIGURES = {
    # Of every store that can tell
    "boards": Meaning("Boards that have entries or a definition."),
    "boards_limit": Meaning("How many boards there may be (--max-boards)."),
    "periods": Meaning("Periods of windows that have entries."),
    "periods_limit": Meaning("How many periods there may be (--max-periods)."),
    "entries": Meaning("Entries on all boards and in all periods."),
    "entries_limit": Meaning("How many entries there may be (--max-entries)."),
    "hidden": Meaning("Names that are hidden, on all boards."),
    "hidden_limit": Meaning("How many names may be hidden (--max-hidden)."),
    "runs": Meaning("Used runs that are remembered."),
    "runs_limit": Meaning("How many used runs there may be (--max-runs)."),
    "keys": Meaning("Idempotency keys that are remembered."),
    "keys_limit": Meaning("How many idempotency keys there may be (--max-keys)."),
    "index_bytes": Meaning("Memory of the indexes of all boards and periods; at most a minute old."),
    "keys_bytes": Meaning("Memory of the table of idempotency keys."),
    # The clock
    "clock_time_seconds": Meaning("The wall clock of the service, in seconds since 1970."),
    "clock_settled": Meaning(
        "1 if the clock has run evenly for an hour, so that what has ended by it is deleted; else 0."
    ),
    "newest_record_ahead_seconds": Meaning("By how much the order of submits is ahead of the clock that was set back."),
    # The journal of the embedded store
    "commit_duration_seconds": Meaning("How long a batch of changes takes to become durable.", "histogram"),
    "commit_fsync_seconds": Meaning("How long it waits for the disk to have it: its share in that.", "histogram"),
    "commit_records": Meaning("Changes that became durable together, each entry of a batch one.", "histogram"),
    "commit_bytes": Meaning("Their bytes.", "histogram"),
    "commit_failures": Meaning("Batches that could not be written; what was in them was a 503.", "counter"),
    "commit_failing": Meaning("1 if the journal could not be written last, until it can be again: reads go on."),
    "restart_needed": Meaning("1 if an unexpected error stopped all writes, until the service is restarted."),
    "open_batch_records": Meaning("Changes that wait for the batch before theirs to become durable."),
    "open_batch_bytes": Meaning("Their bytes."),
    "open_batch_limit_bytes": Meaning("How many bytes may wait (--max-waiting-changes)."),
    "backlog_bytes": Meaning("Bytes of the journal that are not in the snapshot yet, and which a start has to replay."),
    "journal_bytes": Meaning("Size of the journal on the disk, with its log."),
    "snapshot_bytes": Meaning("Size of the snapshot on the disk."),
    "disk_free_bytes": Meaning("What is free on the disk of the data directory for this user."),
    "compactions": Meaning("Compactions of the journal that succeeded.", "counter"),
    "compaction_failures": Meaning("Compactions that failed, or could not begin.", "counter"),
    "compaction_duration_seconds": Meaning("How long a compaction takes that succeeds.", "histogram"),
    "compaction_running": Meaning("1 while a compaction runs."),
    "compaction_failing": Meaning("1 if the last compaction failed, until one succeeds: the journal grows meanwhile."),
    # The archive of the embedded store
    "archive_behind_seconds": Meaning("For how long the archive has lacked something; 0 if it has everything."),
    "archive_waiting_bytes": Meaning("Bytes of the journal that wait for the archive."),
    "archive_backlog_bytes": Meaning("How many may wait before the archive has a gap (--archive-backlog)."),
    "archive_failing": Meaning("1 while the archive cannot be written: it is tried again all the time."),
    "archive_gaps": Meaning("Gaps in the archive since the start, each followed by a new copy.", "counter"),
    "metadata_lost": Meaning("Metadata found damaged or missing on the disk by compactions; the entries are there."),
    # Redis
    "redis_connections": Meaning("Connections to servers of Redis."),
    "redis_connections_wanted": Meaning("How many there should be: fewer if a server is gone."),
    "redis_waiting": Meaning("Calls that wait for an answer of Redis."),
    "redis_waiting_limit": Meaning("How many may wait for one server (--redis-waiting)."),
    "redis_answer_seconds": Meaning(
        "From sending a call to Redis to its answer, of the first call that each packet answers.", "histogram"
    ),
    "redis_errors": Meaning("What went wrong with Redis, by server and kind.", "counter", ("server", "kind")),
    # Momento
    "momento_errors": Meaning("Calls that Momento did not answer as was asked, by kind.", "counter", ("kind",)),
    "momento_clients": Meaning("Clients of Momento's SDK that are open: one, and those that finish what is under way."),
    "momento_broken": Meaning("1 if the last client lost its connection, until the next call makes another; else 0."),
    # What watches boards live
    "live_subscribers": Meaning("Clients that watch boards live."),
    "live_subscribers_limit": Meaning("How many there may be (--max-subscribers)."),
    "live_views": Meaning("Views of boards that they look at."),
    "live_events": Meaning("Events that were made for them; each is sent to all who look at the same.", "counter"),
    "live_drops": Meaning("How often a client read too slowly, and was sent a fresh page later.", "counter"),
    # Connections and memory
    "connections": Meaning("Connections of clients that are open."),
    "connections_limit": Meaning("How many there may be (--max-connections, or what the limit of files allows)."),
    "connections_accepted": Meaning("Connections that were accepted, refused ones included.", "counter"),
    "connections_refused": Meaning("Connections that were answered with a 503 because there were too many.", "counter"),
    "client_memory_bytes": Meaning("Memory of requests in flight, and of answers that clients have not taken."),
    "client_memory_limit_bytes": Meaning("How much that may be (--max-client-memory)."),
    "memory_limit_bytes": Meaning("Memory that the process may have: its control group's limit, or the machine's."),
    # What is submitted
    "batch_entries": Meaning("Entries of batches, by what became of them.", "counter", ("outcome",)),
    # The process
    "event_loop_lag_seconds": Meaning("How late timers of the event loop are, looked at every 50 ms.", "histogram"),
    "event_loop_longest_lag_seconds": Meaning("The longest of the last minute."),
    # Files
    "audit_records": Meaning("Lines written to the audit log.", "counter"),
    "audit_bytes": Meaning("Size of the file of the audit log."),
    "audit_limit_bytes": Meaning("The size at which nothing more is done that would be recorded (--max-audit)."),
    "file_loaded_timestamp_seconds": Meaning(
        "When a file was read that SIGHUP has read again, in seconds since 1970.", labels=("file",)
    ),
    "file_reload_failures": Meaning("How often it could not be read again.", "counter", ("file",)),
    "file_reload_failing": Meaning("1 if it could not be the last time: what was read before holds.", labels=("file",)),
}
