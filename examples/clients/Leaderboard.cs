// Boards of Laurels for Unity 2021.3 or later. Copy this file into Assets, and use it from any MonoBehaviour:
//
//   var boards = new Leaderboard("https://boards.example", GetToken);
//   StartCoroutine(boards.Submit("kart", "silverhand", 2077, "{\"car\":\"pipe\"}", done => Debug.Log(done.rank), Debug.LogWarning));
//   StartCoroutine(boards.Top("kart", 10, rows => Show(rows), Debug.LogWarning));
//   StartCoroutine(boards.Watch("kart", 10, rows => Show(rows), Debug.LogWarning));     // until StopCoroutine
//
//   IEnumerator GetToken(Action<string> got) { ... ask your game's server, which has signed the player in ...; got(token); }
//
// In a player's build give it that player's token, which submits under the player's name alone. A key belongs into a
// dedicated server's build only, where `got(Environment.GetEnvironmentVariable("LAURELS_KEY"))` is all; there
// PlayerToken makes the tokens for players. For WebGL the service must allow the page's origin (--cors-origin).

using System;
using System.Collections;
using System.Globalization;
using System.Text;
using UnityEngine;
using UnityEngine.Networking;

public sealed class Leaderboard
{
    [Serializable]
    public sealed class Entry
    {
        public string name;
        public double score;
        public int rank; // begins at 0
    }

    [Serializable]
    public sealed class Standing
    {
        public double score;
        public int rank;     // begins at 0
        public bool changed; // of a submit: whether it changed the board
        public bool found;   // false if the name is not on the board
    }

    [Serializable]
    private sealed class Page
    {
        public Entry[] leaderboard = null;
        public string next = null;
    }

    [Serializable]
    private sealed class Problem
    {
        public string detail = null;
    }

    [Serializable]
    private sealed class Token
    {
        public string token = null;
    }

    private const int Tries = 5;
    private const int Seconds = 10;

    private readonly string server;
    private readonly Func<Action<string>, IEnumerator> credential;
    private string shown;

    /// <summary>The credential is a coroutine that hands on a key or a token; it is run again when one is refused.</summary>
    public Leaderboard(string server, Func<Action<string>, IEnumerator> credential = null)
    {
        this.server = server.TrimEnd('/');
        this.credential = credential;
    }

    /// <summary>Submit a score, once, however often it has to be sent. Metadata is JSON, or null. To send one again after
    /// the game was restarted, keep its key (PlayerPrefs), and give it here again.</summary>
    public IEnumerator Submit(string board, string name, double score, string metadata, Action<Standing> done,
        Action<string> failed, string key = null)
    {
        var number = score.ToString("R", CultureInfo.InvariantCulture); // never a comma, whatever the player's language
        var body = "{\"score\":" + number + (metadata == null ? "" : ",\"metadata\":" + metadata) + "}";
        return Ask("POST", "/" + Segment(board) + "/" + Segment(name), body, key ?? Guid.NewGuid().ToString(),
            text => done(ReadStanding(text)), failed);
    }

    /// <summary>Read score and rank of a name.</summary>
    public IEnumerator Read(string board, string name, Action<Standing> done, Action<string> failed)
    {
        return Ask("GET", "/" + Segment(board) + "/" + Segment(name), null, null,
            text => done(ReadStanding(text)), failed);
    }

    /// <summary>Read the first entries.</summary>
    public IEnumerator Top(string board, int count, Action<Entry[]> done, Action<string> failed)
    {
        return Ask("GET", "/" + Segment(board) + "?startRank=0&endRank=" + count + "&include=rank", null, null,
            text => done(JsonUtility.FromJson<Page>(text).leaderboard), failed);
    }

    /// <summary>Read a name and its neighbours on each side; none if it is not on the board.</summary>
    public IEnumerator Around(string board, string name, int span, Action<Entry[]> done, Action<string> failed)
    {
        return Ask("GET", "/" + Segment(board) + "?around=" + Segment(name) + "&span=" + span + "&include=rank", null,
            null, text => done(JsonUtility.FromJson<Page>(text).leaderboard), failed);
    }

    /// <summary>Read all entries, page by page: none twice, and none left out, though others submit meanwhile.</summary>
    public IEnumerator All(string board, Action<Entry[]> page, Action done, Action<string> failed)
    {
        var query = "?startRank=0&endRank=1000&include=rank,cursor";
        while (query != null)
        {
            string next = null;
            var failure = false;
            yield return Ask("GET", "/" + Segment(board) + query, null, null, text =>
            {
                var read = JsonUtility.FromJson<Page>(text);
                page(read.leaderboard);
                next = read.next;
            }, why => { failure = true; failed(why); });
            if (failure) yield break;
            query = string.IsNullOrEmpty(next) ? null : "?include=rank,cursor&cursor=" + Segment(next);
        }
        done();
    }

    /// <summary>Read the first entries again and again, and hand them on when they have changed.</summary>
    public IEnumerator Watch(string board, int count, Action<Entry[]> changed, Action<string> failed, float every = 2f)
    {
        string last = null;
        while (true)
        {
            yield return Ask("GET", "/" + Segment(board) + "?startRank=0&endRank=" + count + "&include=rank", null, null,
                text =>
                {
                    if (text == last) return;
                    last = text;
                    changed(JsonUtility.FromJson<Page>(text).leaderboard);
                }, failed);
            yield return new WaitForSecondsRealtime(every);
        }
    }

    /// <summary>Make a token with which a player's build submits under this name alone. It takes a key: on a dedicated
    /// server only.</summary>
    public IEnumerator PlayerToken(string name, string board, int seconds, Action<string> done, Action<string> failed)
    {
        var body = "{\"name\":" + Quote(name) + ",\"boards\":[" + Quote(board) + "],\"seconds\":" + seconds + "}";
        return Ask("POST", "/-/tokens", body, null, text => done(JsonUtility.FromJson<Token>(text).token), failed);
    }

    private IEnumerator Ask(string method, string path, string body, string key, Action<string> done,
        Action<string> failed)
    {
        for (var failures = 1; ; failures++)
        {
            if (shown == null && credential != null) yield return credential(got => shown = got);
            using (var request = new UnityWebRequest(server + path, method))
            {
                request.downloadHandler = new DownloadHandlerBuffer();
                request.timeout = Seconds;
                if (body != null)
                {
                    request.uploadHandler = new UploadHandlerRaw(Encoding.UTF8.GetBytes(body));
                    request.SetRequestHeader("Content-Type", "application/json");
                }
                if (key != null)
                {
                    request.SetRequestHeader("Idempotency-Key", key);
                    request.SetRequestHeader("Prefer", "return=representation");
                }
                if (!string.IsNullOrEmpty(shown)) request.SetRequestHeader("Authorization", "Bearer " + shown);
                yield return request.SendWebRequest();

                var status = request.responseCode;
                var answered = request.result != UnityWebRequest.Result.ConnectionError && status != 0;
                if (answered && status < 400)
                {
                    done(request.downloadHandler.text);
                    yield break;
                }
                var expired = status == 401 && failures == 1 && !string.IsNullOrEmpty(shown) && credential != null;
                if (!expired && (failures == Tries || answered && !MayHelp(status)))
                {
                    failed(answered ? Describe(request) : request.error);
                    yield break;
                }
                if (expired) shown = null; // ask for another token, once
                else yield return new WaitForSecondsRealtime(UntilAgain(request, failures));
            }
        }
    }

    private static bool MayHelp(long status)
    {
        return status == 408 || status == 429 || status == 500 || status >= 502 && status <= 504;
    }

    private static float UntilAgain(UnityWebRequest request, int failures)
    {
        var told = request.GetResponseHeader("Retry-After");
        return int.TryParse(told, out var seconds) ? seconds : Mathf.Min(Mathf.Pow(2f, failures - 2), 30f);
    }

    private static string Describe(UnityWebRequest request)
    {
        try
        {
            return request.responseCode + ": " + JsonUtility.FromJson<Problem>(request.downloadHandler.text).detail;
        }
        catch (ArgumentException)
        {
            return request.responseCode + ": " + request.downloadHandler.text; // of something between, not of Laurels
        }
    }

    private static Standing ReadStanding(string text)
    {
        var read = JsonUtility.FromJson<Standing>(text); // which reads null as 0
        read.found = !text.StartsWith("{\"score\":0,\"rank\":null");
        return read;
    }

    private static string Segment(string name)
    {
        return Uri.EscapeDataString(name);
    }

    private static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var letter in text)
        {
            if (letter == '"' || letter == '\\') quoted.Append('\\');
            quoted.Append(letter);
        }
        return quoted.Append('"').ToString();
    }
}
