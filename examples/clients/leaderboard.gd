class_name Leaderboard
extends Node
## Boards of Laurels for Godot 4.2 or later. Add this file to the project, and a node to the scene:
##
##     var boards := Leaderboard.new()
##     boards.server = "https://boards.example"
##     boards.credential = fetch_token    # func fetch_token() -> String, which may await
##     add_child(boards)
##     var done := await boards.submit("kart", "silverhand", 2077, {"car": "pipe"})
##     print("number %d" % (done.value.rank + 1) if done.ok else done.detail)
##     boards.changed.connect(show_rows)
##     boards.watch("kart")
##
## In a player's program the credential is that player's token, which submits under the player's
## name alone. A key belongs on a dedicated server only, where
## func fetch_key() -> String: return OS.get_environment("LAURELS_KEY")
## is all, and where [method player_token] makes the tokens for players who have signed in.

## The first entries of the board that is watched, at first and after each change.
signal changed(rows: Array)

const TRIES := 5
const SECONDS := 10.0
const AGAIN: Array[int] = [408, 429, 500, 502, 503, 504]

## Where the service is.
var server := "http://127.0.0.1:8000"
## Returns a key or a token; it is called again when one is not accepted any more.
var credential := Callable()

var _shown := ""
var _is_watching := false


## Submit a score, once, however often it has to be sent. To send one again after the game was
## restarted, keep its [param key], and give it here again. The value has score, rank, previous and
## changed.
func submit(
	board: String, player: String, score: float, metadata: Variant = null, key := ""
) -> Dictionary:
	var body := {"score": score}
	if metadata != null:
		body["metadata"] = metadata
	if key == "":
		key = Crypto.new().generate_random_bytes(16).hex_encode()
	var headers: PackedStringArray = ["Idempotency-Key: " + key, "Prefer: return=representation"]
	return await _ask(HTTPClient.METHOD_POST, _path(board, player), body, headers)


## Read score and rank, which begins at 0; the rank is null if the name is not on the board.
func standing(board: String, player: String) -> Dictionary:
	return await _ask(HTTPClient.METHOD_GET, _path(board, player))


## Read the first entries; they are in value.leaderboard.
func top(board: String, count := 20) -> Dictionary:
	var query := "?startRank=0&endRank=%d&include=rank" % count
	return await _ask(HTTPClient.METHOD_GET, _path(board) + query)


## Read a name with so many neighbours on each side; none if it is not on the board.
func around(board: String, player: String, span := 5) -> Dictionary:
	var query := "?around=%s&span=%d&include=rank" % [player.uri_encode(), span]
	return await _ask(HTTPClient.METHOD_GET, _path(board) + query)


## Read the page after the one with this [param cursor], which is in value.next; the first one
## without. It is null after the last. No entry comes twice, and none is left out, though others
## submit meanwhile.
func page(board: String, cursor: Variant = null, count := 100) -> Dictionary:
	var query := "?include=rank,cursor&startRank=0&endRank=%d" % count
	if cursor != null:
		query = "?include=rank,cursor&cursor=" + str(cursor).uri_encode()
	return await _ask(HTTPClient.METHOD_GET, _path(board) + query)


## Read the first entries every so many seconds, and emit [signal changed] when they are others,
## until [method stop_watching].
func watch(board: String, count := 10, every := 2.0) -> void:
	var last := ""
	_is_watching = true
	while _is_watching and is_inside_tree():
		var found := await top(board, count)
		if found.ok and JSON.stringify(found.value) != last:
			last = JSON.stringify(found.value)
			changed.emit(found.value.leaderboard)
		await get_tree().create_timer(every).timeout


func stop_watching() -> void:
	_is_watching = false


## Make a token with which a player's program submits under this name alone; it is value.token. It
## takes a key: on a dedicated server only.
func player_token(player: String, boards: Array, seconds := 3600) -> Dictionary:
	var body := {"name": player, "boards": boards, "seconds": seconds}
	return await _ask(HTTPClient.METHOD_POST, "/-/tokens", body)


func _path(board: String, player := "") -> String:
	return "/" + board.uri_encode() + ("" if player == "" else "/" + player.uri_encode())


## Return {ok, status, value} or {ok, status, detail}.
func _ask(
	method: HTTPClient.Method, path: String, body: Variant = null, headers: PackedStringArray = []
) -> Dictionary:
	var failures := 0
	while true:
		var answer := await _ask_once(method, path, body, headers)
		failures += 1
		if answer.ok:
			return answer
		if answer.status == 401 and failures == 1 and _shown != "":
			_shown = ""  # the token may have expired: ask for another, once
			continue
		if failures == TRIES or not (answer.status == 0 or answer.status in AGAIN):
			return answer
		var wait: float = answer.get("retry_after", minf(pow(2.0, failures - 2), 30.0))
		await get_tree().create_timer(wait).timeout
	return {}


func _ask_once(
	method: HTTPClient.Method, path: String, body: Variant, headers: PackedStringArray
) -> Dictionary:
	if _shown == "" and credential.is_valid():
		_shown = await credential.call()
	var sent := headers.duplicate()
	if _shown != "":
		sent.append("Authorization: Bearer " + _shown)
	var content := ""
	if body != null:
		sent.append("Content-Type: application/json")
		content = JSON.stringify(body, "", true, true)
	var request := HTTPRequest.new()
	request.timeout = SECONDS
	add_child(request)
	var answer := {"ok": false, "status": 0, "detail": "The service cannot be reached."}
	if request.request(server + path, sent, method, content) == OK:
		answer = _read(await request.request_completed)
	request.queue_free()
	return answer


func _read(completed: Array) -> Dictionary:
	var result: int = completed[0]
	var status: int = completed[1]
	if result != HTTPRequest.RESULT_SUCCESS:
		return {"ok": false, "status": 0, "detail": "The service cannot be reached (%d)." % result}
	var text: String = completed[3].get_string_from_utf8()
	var value: Variant = JSON.parse_string(text) if text != "" else null
	if status < 400:
		return {"ok": true, "status": status, "value": value}
	var answer := {"ok": false, "status": status, "detail": text}
	if value is Dictionary:
		answer["detail"] = value.get("detail", text)
	for header: String in completed[2]:
		if header.to_lower().begins_with("retry-after:"):
			answer["retry_after"] = header.get_slice(":", 1).strip_edges().to_float()
	return answer
